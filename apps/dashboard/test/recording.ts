import { cidOf, type DatasetView, type JobView, type RoundView, type Share } from '@pingo/wire'

/** A recorded job and its network, made from a seed: the same numbers on every run. */
export interface Recording {
  job: Omit<
    JobView,
    'state' | 'rounds' | 'samplesDone' | 'samplesInFlight' | 'samplesPerSecond' | 'contributors' | 'shares'
  >
  rounds: RoundView[]
  machines: Machine[]
  /** Jobs of before, as they stay. */
  others: JobView[]
  datasets: DatasetView[]
}

export interface Machine {
  id: string
  name: string
  cores: number
  memoryBytes: number
  /** Samples/s. */
  speed: number
}

/** 2026-03-09 14:03 UTC. */
export const RECORDED_AT = Date.UTC(2026, 2, 9, 14, 3)
export const ROUND_MS = 4_000
const GIB = 2 ** 30

/** A small generator of numbers in [0, 1) (mulberry32, public domain, by Tommy Ettinger). */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export const address = (name: string): string => cidOf(new TextEncoder().encode(name)).toString()
export const peer = (name: string): string => `12D3KooW${address(`peer ${name}`).slice(-44)}`

const MACHINES: Machine[] = [
  { id: peer('attic-nuc'), name: 'attic-nuc', cores: 4, memoryBytes: 8 * GIB, speed: 4_100 },
  { id: peer('lab-2'), name: 'lab-2', cores: 2, memoryBytes: 4 * GIB, speed: 2_350 },
  { id: peer('lab-10'), name: 'lab-10', cores: 2, memoryBytes: 4 * GIB, speed: 2_300 },
  { id: peer('mara-laptop'), name: 'mara-laptop', cores: 0.5, memoryBytes: 1.5 * GIB, speed: 610 },
]

/** A job of `count` rounds of 7 500 samples on four machines; the third machine's update comes too late now and then. */
export function record(seed: number, count = 24): Recording {
  const next = random(seed)
  const perRound = 7_500
  const rounds: RoundView[] = []
  for (let round = 1; round <= count; round++) {
    const late = round % 7 === 5
    const workers = MACHINES.filter((_, index) => !(late && index === 2))
    const weights = workers.map((machine) => machine.speed * (0.9 + 0.2 * next()))
    const sum = weights.reduce((a, b) => a + b, 0)
    const samples = weights.map((weight) => Math.floor((weight / sum) * perRound))
    samples[0]! += perRound - samples.reduce((a, b) => a + b, 0)
    const millis = Math.round((perRound / sum) * 1_000 * ROUND_MS * 0.001 + 900 * next())
    const fade = Math.exp(-(round - 1) / 4.5)
    const loss = 0.032 + 1.32 * fade + 0.03 * fade * next() + 0.006 * next()
    const metric = 0.9915 - 0.42 * Math.exp(-(round - 1) / 3.2) - 0.004 * next()
    rounds.push({
      round,
      at: RECORDED_AT + round * ROUND_MS,
      millis,
      samples: perRound,
      samplesDone: round * perRound,
      samplesPerSecond: sum * (0.96 + 0.04 * next()),
      loss,
      metric,
      ...(round % 2 === 0 || round === count
        ? tested(loss * 1.06 + 0.008 * next(), metric - 0.003 - 0.003 * next())
        : {}),
      learningRate: 0.001 * (0.5 + 0.5 * Math.cos((Math.PI * round) / count)),
      checkpoint: address(`checkpoint ${round}`),
      shares: workers.map((machine, index) => share(machine, samples[index]!, 1)),
      excluded: late ? [{ contributor: MACHINES[2]!.id, reason: 'came after the round had closed' }] : [],
    })
  }
  return {
    job: {
      id: 'job-mnist-cnn-7f3a91c2',
      name: 'mnist-cnn',
      submittedAt: RECORDED_AT - 2_400,
      program: address('program'),
      train: address('mnist train'),
      test: address('mnist test'),
      metricName: 'accuracy',
      lossName: 'cross_entropy',
      parameters: 421_642,
      batch: 64,
      epochs: 3,
      training: {
        loss: 'cross entropy, smoothing 0.1',
        optimizer: 'AdamW, learning rate 0.001, weight decay 0.01, clip 1',
        schedule: 'cosine, down to 2 %, warm-up 2 %',
        accumulation: '4 parts of 16',
      },
      samplesTotal: count * perRound,
    },
    rounds,
    machines: MACHINES,
    others: otherJobs(),
    datasets: [
      dataset('mnist train', 'image', 60_000, 47_040_000, 40),
      dataset('mnist test', 'image', 10_000, 7_840_000, 40),
      dataset('house prices', 'tabular', 20_640, 1_320_960, 5_000),
    ],
  }
}

const tested = (testLoss: number, testMetric: number) => ({
  testLoss,
  testMetric,
  testMetrics: { accuracy: testMetric, top5: 1 - (1 - testMetric) / 10, f1_macro: testMetric - 0.001 },
})

export const share = (machine: Machine, samples: number, updates: number): Share => ({
  contributor: machine.id,
  name: machine.name,
  samples,
  updates,
})

function dataset(name: string, kind: string, samples: number, bytes: number, minutesAgo: number): DatasetView {
  return { cid: address(name), name, kind, samples, bytes, addedAt: RECORDED_AT - minutesAgo * 60_000 }
}

function otherJobs(): JobView[] {
  const hour = 3_600_000
  const base = {
    program: address('program 2'),
    train: address('house prices'),
    batch: 128,
    epochs: 20,
    parameters: 8_961,
    samplesInFlight: 0,
    samplesPerSecond: 0,
    contributors: 0,
  }
  return [
    {
      ...base,
      id: 'job-house-prices-02',
      name: 'house-prices',
      state: 'done',
      submittedAt: RECORDED_AT - 5 * hour,
      startedAt: RECORDED_AT - 5 * hour + 900,
      endedAt: RECORDED_AT - 5 * hour + 48_300,
      metricName: 'mae',
      lossName: 'mse',
      rounds: 11,
      samplesDone: 412_800,
      samplesTotal: 412_800,
      samplesPerSecond: 8_720,
      loss: 0.2412,
      metric: 0.3391,
      testLoss: 0.2537,
      testMetric: 0.3468,
      shares: [share(MACHINES[0]!, 262_144, 11), share(MACHINES[1]!, 150_656, 10)],
      result: {
        model: { cid: address('model 2'), bytes: 37_214 },
        checkpoint: { cid: address('weights 2'), bytes: 36_104 },
        card: { cid: address('card 2'), bytes: 2_918 },
      },
    },
    {
      ...base,
      id: 'job-tiny-shakespeare-01',
      name: 'tiny-shakespeare-with-a-long-name-that-must-not-break-the-row',
      state: 'failed',
      reason: 'The loss became infinite in round 3. Lower the learning rate and submit again.',
      submittedAt: RECORDED_AT - 26 * hour,
      startedAt: RECORDED_AT - 26 * hour + 500,
      endedAt: RECORDED_AT - 26 * hour + 21_000,
      metricName: 'accuracy',
      lossName: 'cross_entropy',
      rounds: 2,
      samplesDone: 9_216,
      samplesTotal: 120_000,
      loss: 3.1214,
      metric: 0.1873,
      shares: [share(MACHINES[0]!, 9_216, 2)],
    },
  ]
}
