/** How bad the simulated world is. Probabilities are per message, per lease or per contributor and round, as said. */
export interface Faults {
  /** Per message: lost, delivered twice, delayed by seconds. */
  loss: number
  duplicate: number
  slow: number
  /** Per contributor and round: it leaves, is killed, freezes, lends something else, or its network is cut, in equal parts. */
  churn: number
  /** Per lease: the training never ends, fails, is refused, or is held back until long after its round. */
  stuck: number
  fail: number
  refuse: number
  late: number
  /** Per submission: something forged is sent before the true update. */
  forge: number
  /** Per round: the fog node's process is killed. */
  fogCrash: number
}

export interface SimulationOptions {
  seed: number
  contributors: number
  /** Rounds that the jobs' samples are sized for; churn makes them some more. */
  rounds: number
  jobs: number
  roundMs: number
  faults: Faults
  /** The models must have come so close to their optimum, as a part of the distance at the start. */
  maxDistance: number
  /** Freezes every state of the scheduler: a change in place throws. */
  freeze: boolean
  /** Keeps the last lines of what happened, for a failing seed. */
  log: boolean
}

export const FAULTS: Faults = {
  loss: 0.01,
  duplicate: 0.02,
  slow: 0.01,
  churn: 0.14,
  stuck: 0.003,
  fail: 0.003,
  refuse: 0.003,
  late: 0.01,
  forge: 0.03,
  fogCrash: 0.1,
}

/** The full size: 200 contributors, at least 20 rounds. One seed in four has several jobs. */
export const fullSize = (seed: number): SimulationOptions => ({
  seed,
  contributors: 200,
  rounds: 18,
  jobs: seed % 4 === 3 ? 2 + (seed % 2) : 1,
  roundMs: 4_000,
  faults: FAULTS,
  maxDistance: 0.05,
  freeze: false,
  log: false,
})

/** A small and nasty world, for planted bugs: from one contributor to a dozen, everything goes wrong more often. */
export const smallSize = (seed: number): SimulationOptions => ({
  seed,
  contributors: [1, 2, 3, 5, 8, 12][seed % 6]!,
  rounds: 6,
  jobs: 1 + (seed % 3 === 2 ? 1 : 0),
  roundMs: 2_000,
  faults: {
    loss: 0.03,
    duplicate: 0.08,
    slow: 0.04,
    churn: 0.2,
    stuck: 0.04,
    // A lease that fails twice where there is hardly anybody else ends its job, rightly.
    fail: seed % 6 < 3 ? 0 : 0.003,
    refuse: 0.02,
    late: 0.06,
    forge: 0.3,
    fogCrash: 0.35,
  },
  maxDistance: 0.5,
  freeze: true,
  log: false,
})
