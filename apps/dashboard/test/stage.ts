import type {
  ContributorView,
  Explanation,
  JobEvent,
  JobState,
  JobView,
  NetworkView,
  RoundView,
  Share,
  StorageView,
} from '@pingo/wire'
import { cidOf } from '@pingo/wire'
import { RECORDED_AT, type Recording, ROUND_MS, share } from './recording.ts'
import { emptyStorage, storageAfter } from './storage.ts'

/** What a fog node remembers over a restart: how far the recorded job has been played. The test moves it. */
export class Stage {
  readonly recording: Recording
  state: JobState = 'queued'
  /** Rounds committed so far. */
  played = 0
  /** Samples trained and not yet in a round. */
  inFlight = 0
  /** False: a fog node on which nothing was ever submitted and that nobody joined. */
  populated = true
  /** The fog node leaves the storage network. */
  isLeaving = false
  private polls = 0
  /** Stored events, oldest first; the listener gets those to come. */
  readonly events: JobEvent[] = []
  listener: ((event: JobEvent, stored: boolean) => void) | undefined

  constructor(recording: Recording) {
    this.recording = recording
    this.store({ type: 'log', level: 'info', message: 'Submitted: 180 000 samples, 421 642 parameters.' })
  }

  get now(): number {
    return RECORDED_AT + this.played * ROUND_MS + 1_200
  }

  get committed(): RoundView[] {
    return this.recording.rounds.slice(0, this.played)
  }

  start(): void {
    this.state = 'running'
    this.store({ type: 'state', job: this.job() })
    this.store({ type: 'log', level: 'info', message: 'Running on 4 contributors.' })
  }

  /** Commits the next rounds. */
  advance(rounds = 1): void {
    for (let i = 0; i < rounds && this.played < this.recording.rounds.length; i++) {
      const round = this.recording.rounds[this.played]!
      this.played++
      this.inFlight = 0
      const { testLoss, testMetric, testMetrics, ...committed } = round
      this.store({ type: 'round', round: committed })
      // A round comes again when its checkpoint has been tested.
      if (testMetric !== undefined && testLoss !== undefined) this.store({ type: 'round', round })
      for (const { reason } of round.excluded)
        this.store({
          type: 'log',
          level: 'warn',
          message: `Round ${round.round}: an update ${reason}; its batches go to another.`,
        })
      this.progress(0)
    }
  }

  /** Says what is in flight, as a fog node does a few times a second. */
  progress(inFlight: number): void {
    this.inFlight = inFlight
    const seq = this.events.at(-1)?.seq ?? 0
    this.listener?.({ type: 'progress', seq, at: this.now, job: this.job() }, false)
  }

  finish(): void {
    this.state = 'done'
    this.store({ type: 'state', job: this.job() })
    this.store({ type: 'log', level: 'info', message: 'Done. The trained model is stored.' })
  }

  job(): JobView {
    const { job, rounds, machines } = this.recording
    const last = this.committed.at(-1)
    const tested = this.committed.findLast((round) => round.testMetric !== undefined)
    const running = this.state === 'running'
    const left = job.samplesTotal - (last?.samplesDone ?? 0) - this.inFlight
    const speed = last?.samplesPerSecond ?? 0
    return {
      ...job,
      state: this.state,
      ...(this.state === 'queued' ? { reason: 'Waits for a contributor with 512 MiB of free memory.' } : {}),
      ...(this.state === 'queued' ? {} : { startedAt: RECORDED_AT }),
      ...(this.state === 'done' ? { endedAt: RECORDED_AT + rounds.length * ROUND_MS + 800, result: result() } : {}),
      rounds: this.played,
      samplesDone: last?.samplesDone ?? 0,
      samplesInFlight: this.inFlight,
      samplesPerSecond: speed,
      contributors: running ? machines.length : 0,
      ...(running && speed > 0 ? { etaMs: (left / speed) * 1_000 } : {}),
      ...(last ? { loss: last.loss, metric: last.metric } : {}),
      ...(tested ? { testLoss: tested.testLoss, testMetric: tested.testMetric, testMetrics: tested.testMetrics } : {}),
      shares: this.shares(),
    }
  }

  network(startedAt: number): NetworkView {
    const jobs = this.jobs()
    const contributors = this.populated ? this.contributors() : []
    const count = (state: JobState) => jobs.filter((job) => job.state === state).length
    return {
      fog: {
        id: '12D3KooWQnwEGNqcM2nAcPtRR9rAX8Hrg4k9kJLCHoTR5chJfz6d',
        version: '0.1.0',
        addresses: ['/ip4/127.0.0.1/tcp/4601', '/ip4/192.168.1.20/tcp/4601'],
        startedAt,
        rssBytes: 118_000_000,
        blocks: this.populated ? 412 + this.played : 0,
        blockBytes: this.populated ? 58_900_000 + this.played * 1_690_000 : 0,
      },
      contributors,
      cores: contributors.reduce((sum, contributor) => sum + contributor.offer.cores, 0),
      samplesPerSecond: contributors.reduce((sum, contributor) => sum + contributor.samplesPerSecond, 0),
      jobs: { queued: count('queued'), running: count('running'), done: count('done'), failed: count('failed') },
      samplesTotal: jobs.reduce((sum, job) => sum + job.samplesDone, 0),
    }
  }

  /** Reads and repairs go on as rounds do. */
  storage(): StorageView {
    return this.populated ? storageAfter(this.polls++, this.now, this.isLeaving) : emptyStorage()
  }

  jobs(): JobView[] {
    return this.populated ? [this.job(), ...this.recording.others] : []
  }

  explanation(): Explanation {
    const { state } = this
    if (state === 'queued')
      return {
        state,
        sentence: 'It waits for a contributor with 512 MiB of free memory; four are here, none has that much to spare.',
        constraints: [
          { what: 'memory per contributor: 512 MiB', change: 'lower resources.memory to 384 MiB: two would fit' },
        ],
      }
    if (state === 'running')
      return {
        state,
        sentence: 'It runs on all 4 contributors that fit.',
        constraints: [{ what: 'cores: 8.5 lent', change: 'add a machine; each core brings about 1 100 samples/s' }],
      }
    return { state, sentence: 'It is done.', constraints: [] }
  }

  private shares(): Share[] {
    return this.recording.machines.flatMap((machine) => {
      const mine = this.committed.flatMap((round) => round.shares.filter((part) => part.contributor === machine.id))
      return mine.length === 0
        ? []
        : [
            share(
              machine,
              mine.reduce((sum, part) => sum + part.samples, 0),
              mine.length,
            ),
          ]
    })
  }

  private contributors(): ContributorView[] {
    const shares = new Map(this.shares().map((part) => [part.contributor, part]))
    return this.recording.machines.map((machine, index) => {
      const training = this.state === 'running' && index < 3
      const wobble = 1 + 0.06 * Math.sin(this.played * (index + 1.3) + this.inFlight / 2_000)
      return {
        id: machine.id,
        name: machine.name,
        state: training ? 'training' : index === 3 ? 'paused' : 'idle',
        ...(training ? { job: this.recording.job.id } : {}),
        offer: { cores: machine.cores, memoryBytes: machine.memoryBytes, diskBytes: 20 * 2 ** 30 },
        hardware: { platform: 'linux x64', cpu: 'Test CPU', cores: 8, memoryBytes: 16 * 2 ** 30, runtime: 'node 24' },
        rssBytes: 210_000_000,
        slices: [
          training ? { state: 'training', job: this.recording.job.id } : { state: index === 3 ? 'paused' : 'idle' },
        ],
        samplesPerSecond: training ? machine.speed * wobble : 0,
        samples: shares.get(machine.id)?.samples ?? 0,
        joinedAt: RECORDED_AT - 3_600_000,
        lastSeenAt: this.now - (index === 3 ? 5_000 : 800),
      }
    })
  }

  private store(event: Distribute<JobEvent>): void {
    const stored = { ...event, seq: this.events.length + 1, at: this.now } as JobEvent
    this.events.push(stored)
    this.listener?.(stored, true)
  }
}

/** `Omit` over each member of a union. */
type Distribute<T> = T extends unknown ? Omit<T, 'seq' | 'at'> : never

function result(): NonNullable<JobView['result']> {
  const file = (name: string, bytes: number) => ({ cid: cidOf(new TextEncoder().encode(name)).toString(), bytes })
  return { model: file('model', 1_692_118), checkpoint: file('weights', 1_687_040), card: file('card', 3_402) }
}
