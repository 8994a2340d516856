import type { FileRef, Range } from '@pingo/wire'
import { createJob, stepJob } from '../job.ts'
import type { JobCommand, JobCore, JobEvent, JobSettings, LeaseGrant, UpdateReport } from '../job-types.ts'
import { checkLedger, samplesOf } from '../ledger.ts'
import { splitAt } from '../ranges.ts'

type WithoutTime<E> = E extends unknown ? Omit<E, 'at'> : never

export const fileOf = (letter: string): FileRef => ({ cid: `b${letter.repeat(30)}`, bytes: 1 })

export const settingsOf = (changes: Partial<JobSettings> = {}): JobSettings => ({
  job: 'job',
  batch: 10,
  samples: 10_000,
  totalSamples: 9_995,
  parameters: 4,
  seed: 1,
  roundMs: 4_000,
  learningRate: 0.1,
  schedule: { kind: 'linear', warmup: 0, floor: 0 },
  outer: { learningRate: 0.7, momentum: 0.9 },
  contributors: { min: 1, max: 100 },
  flopsPerSample: 0,
  ...changes,
})

/** Drives one job by hand, with a clock that only the test moves; every event is journaled, every ledger checked. */
export class Drive {
  core: JobCore
  now = 0
  readonly journal: JobEvent[] = []
  readonly commands: JobCommand[] = []
  /** The newest lease of each contributor. */
  readonly leases = new Map<string, LeaseGrant>()

  constructor(changes: Partial<JobSettings> = {}) {
    this.core = createJob(settingsOf(changes), fileOf('a'), 0)
  }

  send(event: WithoutTime<JobEvent>): JobCommand[] {
    const full = { ...event, at: this.now } as JobEvent
    const { core, commands } = stepJob(this.core, full)
    this.core = core
    this.journal.push(full)
    this.commands.push(...commands)
    for (const command of commands)
      if (command.type === 'grant') this.leases.set(command.lease.contributor, command.lease)
    checkLedger(core.ledger)
    return commands
  }

  /** Contributors come, the gathering time passes, the first round opens: of 1 s, as nobody's speed is known. */
  open(...contributors: string[]): JobCommand[] {
    for (const contributor of contributors) this.send({ type: 'joined', contributor, flops: 0 })
    return this.pass(50)
  }

  pass(ms: number): JobCommand[] {
    this.now += ms
    return this.send({ type: 'tick' })
  }

  /** Time goes on from wake to wake until `done`; throws when nothing would wake the job. */
  passUntil(done: () => boolean): void {
    for (let wakes = 0; !done(); wakes++) {
      if (this.core.wakeAt === null || wakes > 10_000) throw new Error(`the job hangs: ${this.core.phase}`)
      this.now = Math.max(this.now, this.core.wakeAt)
      this.send({ type: 'tick' })
    }
  }

  report(contributor: string, steps: number, changes: Partial<UpdateReport> = {}): UpdateReport {
    const lease = this.leases.get(contributor)!
    return {
      contributor,
      lease: lease.id,
      fence: lease.fence,
      round: lease.round,
      base: lease.base.cid,
      steps,
      samples: samplesOf(this.core.settings, splitAt(lease.ranges, steps)[0]),
      lossSum: 2 * steps,
      metricSum: steps,
      millis: 1_000,
      update: `update of ${lease.id}`,
      norm: 1,
      ...changes,
    }
  }

  /** Submits, and gives the code of the refusal, or `true`. */
  submit(contributor: string, steps: number, changes: Partial<UpdateReport> = {}): true | string {
    const answers = this.send({ type: 'update', ...this.report(contributor, steps, changes) })
    const answer = answers.find((command) => command.type === 'answer')!
    return answer.accepted ? true : (answer.code ?? 'no code')
  }

  /** The merge that is asked for is done. */
  merge(letter = 'c'): JobCommand[] {
    return this.send({ type: 'merged', round: this.core.round, base: fileOf(letter) })
  }

  all<T extends JobCommand['type']>(type: T): Extract<JobCommand, { type: T }>[] {
    return this.commands.filter((command) => command.type === type) as Extract<JobCommand, { type: T }>[]
  }

  steps(contributor: string): number {
    return stepsOf(this.leases.get(contributor)!.ranges)
  }
}

export const stepsOf = (ranges: readonly Range[]): number => ranges.reduce((sum, [from, to]) => sum + to - from, 0)
