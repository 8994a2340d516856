import type { JobSettings } from '@pingo/training'
import { VirtualClock } from './clock.ts'
import { SimulatedContributor } from './contributor.ts'
import { BATCH, distance, Fingerprint, initialCheckpoint, PARAMETERS } from './model.ts'
import { type Answer, type Connection, type Downward, Network, type SimulatedUpdate, type Upward } from './network.ts'
import type { SimulationOptions } from './options.ts'
import { Oracle, Violation } from './oracle.ts'
import { Random } from './random.ts'
import { type Disk, SimulatedShell } from './shell.ts'

/** Time after the jobs' end in which the last messages arrive. */
const DRAIN_MS = 30_000
/** A simulation that takes so many times its nominal length hangs. */
const HANG_FACTOR = 12
const MAX_EVENTS_AT_ONCE = 20_000
const LOG_LINES = 400

export interface SimulationResult {
  seed: number
  /** What did not hold; absent when everything did. */
  violation?: string
  rounds: number
  samples: number
  /** Virtual time, ms, and events. */
  virtualMs: number
  /** Virtual time until the last job ended, ms. */
  activeMs: number
  events: number
  /** Largest distance of a model to its optimum at the end, as a part of that at the start. */
  distance: number
  crashes: number
  churned: number
  maxRoundMs: number
  /** Hash of everything that happened: equal for equal seeds. */
  trace: string
  log: string[]
}

/** One simulated network: a fog node that may die, its disk that does not, contributors that come and go. */
export class World {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly options: SimulationOptions
  readonly disk: Disk = { jobs: new Map(), updates: new Map(), files: new Map() }
  readonly settings = new Map<string, JobSettings>()
  readonly oracle: Oracle
  readonly #network: Network
  readonly #contributors = new Map<string, SimulatedContributor>()
  #shell: SimulatedShell
  #up = true
  #connections = 0
  #named = 0
  #events = 0
  /** Events since time last went on. */
  #atOnce = 0
  #crashes = 0
  #churned = 0
  #activeMs = 0
  readonly #trace = new Fingerprint()
  readonly #log: string[] = []

  constructor(options: SimulationOptions) {
    this.options = options
    this.random = new Random(options.seed, 1)
    this.oracle = new Oracle(this.clock, new Random(options.seed, 2), this.disk, options.freeze)
    this.#network = new Network(this.clock, new Random(options.seed, 3), options.faults)
    this.#shell = this.#newShell()
  }

  run(): SimulationResult {
    let violation: string | undefined
    try {
      this.#begin()
      const { options } = this
      const { rounds, roundMs, jobs } = options
      const hangs = HANG_FACTOR * rounds * (roundMs + 1_000) * jobs + 600_000
      while (!this.oracle.isFinished && this.#step(hangs));
      this.#activeMs = this.clock.now
      const end = this.#activeMs + DRAIN_MS
      while (this.#step(end));
      this.oracle.finish()
      const away = this.#distance()
      if (away > options.maxDistance)
        this.oracle.fail(`the models are at ${away} of their first distance to the optimum`)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      violation =
        error instanceof Violation ? error.message : `${error.name}: ${error.message} ${error.stack?.split('\n')[1]}`
    }
    return {
      seed: this.options.seed,
      ...(violation === undefined ? {} : { violation }),
      rounds: this.oracle.rounds(),
      samples: [...this.settings.values()].reduce((sum, { totalSamples }) => sum + totalSamples, 0),
      virtualMs: this.clock.now,
      activeMs: this.#activeMs,
      events: this.#events,
      distance: this.#distance(),
      crashes: this.#crashes,
      churned: this.#churned,
      maxRoundMs: this.oracle.maxRoundMs,
      trace: this.#trace.toString(),
      log: this.#log,
    }
  }

  /** Contributor → fog node. */
  up(connection: Connection, message: Upward): void {
    this.#network.send(() => {
      if (this.clock.now >= connection.cutUntil) this.#shell.receive(connection, message)
    })
  }

  /** An HTTP request: its own connection, lost or answered. */
  put(update: SimulatedUpdate, answered: (answer: Answer) => void): void {
    this.#network.send(() =>
      this.#shell.put(update, (answer) => {
        this.note(`answer ${update.lease} ${answer.accepted} ${answer.code ?? ''}`)
        this.#network.send(() => answered(answer))
      }),
    )
  }

  connect(contributor: string): Connection {
    return { id: ++this.#connections, contributor, open: true, cutUntil: 0 }
  }

  isJoined(connection: Connection): boolean {
    return this.#up && this.#shell.knows(connection)
  }

  /** A contributor's end of a connection is closed. */
  hangUp(connection: Connection): void {
    this.clock.after(this.random.between(1, 50), () => {
      connection.open = false
      this.#shell.disconnected(connection)
    })
  }

  note(what: string): void {
    this.#trace.add(this.clock.now).add(what)
    if (!this.options.log) return
    this.#log.push(`${this.clock.now} ${what}`)
    if (this.#log.length > LOG_LINES) this.#log.shift()
  }

  #step(until: number): boolean {
    this.#events++
    const before = this.clock.now
    const ran = this.clock.step(until)
    this.#atOnce = this.clock.now === before ? this.#atOnce + 1 : 0
    if (this.#atOnce > MAX_EVENTS_AT_ONCE) this.oracle.fail('time stands still: something goes round in circles')
    return ran
  }

  #newShell(): SimulatedShell {
    return new SimulatedShell({
      clock: this.clock,
      random: this.random,
      network: this.#network,
      oracle: this.oracle,
      disk: this.disk,
      deliver: (connection: Connection, message: Downward) => {
        const contributor = this.#contributors.get(connection.contributor)
        if (contributor === undefined) this.oracle.lost(connection.contributor, message)
        else contributor.receive(connection, message)
      },
      closed: (connection) => this.#contributors.get(connection.contributor)?.closed(connection),
      note: (what) => this.note(what),
    })
  }

  #begin(): void {
    const { options, random } = this
    for (let i = 0; i < options.contributors; i++) this.#add(random.between(0, 500))
    const stepsPerRound = [...this.#contributors.values()].reduce(
      (sum, { stepMs, slices }) => sum + (slices * options.roundMs) / stepMs,
      0,
    )
    for (let index = 0; index < options.jobs; index++) {
      const batches = Math.max(options.rounds, Math.ceil((stepsPerRound * options.rounds) / options.jobs))
      const settings: JobSettings = {
        job: `job${index}`,
        batch: BATCH,
        samples: batches * BATCH,
        totalSamples: batches * BATCH - random.between(0, BATCH - 1),
        parameters: PARAMETERS,
        seed: options.seed + index,
        roundMs: options.roundMs,
        learningRate: 0.2,
        schedule: { kind: 'cosine', warmup: 0.02, floor: 0.02 },
        outer: { learningRate: 0.7, momentum: 0.6 },
        contributors: { min: options.contributors > 4 ? random.between(1, 2) : 1, max: 10_000 },
        flopsPerSample: random.chance(0.5) ? 1e6 / BATCH : 0,
      }
      this.settings.set(settings.job, settings)
      this.oracle.addJob(settings, initialCheckpoint())
      const memoryBytes = index === 0 ? 0 : random.pick([0, 1])
      this.clock.after(index * random.between(0, 3 * options.roundMs), () => this.#submit(settings, memoryBytes))
    }
    this.#trouble()
  }

  /** A client submits until its job is durable. */
  #submit(settings: JobSettings, memoryBytes: number): void {
    if (this.disk.jobs.has(settings.job)) return
    this.#shell.submit(settings, initialCheckpoint(), memoryBytes)
    this.clock.after(1_000, () => this.#submit(settings, memoryBytes))
  }

  #add(afterMs: number): void {
    const contributor = new SimulatedContributor(`c${String(this.#named++).padStart(4, '0')}`, this)
    this.#contributors.set(contributor.id, contributor)
    this.clock.after(afterMs, () => contributor.start())
  }

  /** Once a round: who leaves, dies, freezes, is cut off; whether the fog node dies. Ends with the jobs. */
  #trouble(): void {
    const { random, options, clock } = this
    clock.after(options.roundMs, () => {
      if (this.oracle.isFinished) return
      for (const contributor of [...this.#contributors.values()])
        if (contributor.isRunning && random.chance(options.faults.churn))
          clock.after(random.between(0, options.roundMs), () => this.#befall(contributor))
      if (random.chance(options.faults.fogCrash)) clock.after(random.between(0, options.roundMs), () => this.#crash())
      this.#trouble()
    })
  }

  #befall(contributor: SimulatedContributor): void {
    const { random, clock } = this
    this.#churned++
    switch (random.between(0, 5)) {
      case 0: // leaves for good, another comes
        contributor.terminate()
        clock.after(10_000, () => this.#contributors.delete(contributor.id))
        this.#add(random.between(0, 5_000))
        return
      case 1: // dies for good, another comes
        contributor.kill()
        this.#contributors.delete(contributor.id)
        this.#add(random.between(0, 5_000))
        return
      case 2: // is restarted
        contributor.kill()
        clock.after(random.between(100, 10_000), () => contributor.start())
        return
      case 3:
        contributor.freeze(random.between(500, 15_000))
        return
      case 4:
        contributor.change()
        return
      default:
        contributor.cut(random.between(500, 12_000))
    }
  }

  #crash(): void {
    if (!this.#up) return
    this.#up = false
    this.#crashes++
    this.#shell.crash()
    const down = this.random.chance(0.15) ? this.random.between(10_000, 50_000) : this.random.between(200, 5_000)
    this.clock.after(down, () => {
      this.note('fog node restarted')
      this.#shell = this.#newShell()
      this.#up = true
      this.#shell.restore()
    })
  }

  #distance(): number {
    let worst = 0
    for (const [job, { seed }] of this.settings) {
      const core = this.oracle.modelOf(job)
      const model = this.disk.files.get(core)
      if (model !== undefined)
        worst = Math.max(worst, distance(model.theta, seed) / distance(initialCheckpoint().theta, seed))
    }
    return worst
  }
}

/** Runs one simulation; deterministic in its options. */
export const simulate = (options: SimulationOptions): SimulationResult => new World(options).run()
