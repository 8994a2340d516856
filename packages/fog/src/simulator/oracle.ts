import { isDeepStrictEqual } from 'node:util'
import { type CommittedRound, type JobCore, type JobSettings, type LeaseGrant, mergeRound } from '@pingo/training'
import { EVICT_MS, slicesOf } from '@pingo/wire'
import { type FogCommand, type FogEvent, type FogState, type FogStep, peerOf } from '../core/index.ts'
import type { VirtualClock } from './clock.ts'
import { BATCH, type Checkpoint, checkpointName } from './model.ts'
import { type Answer, cidOfUpdate, type Downward, type SimulatedUpdate } from './network.ts'
import type { Random } from './random.ts'
import type { Disk } from './shell.ts'

/** How late a timer may be. */
const TIMER_SLACK_MS = 100

/** No round lasts longer, whatever happens: a lease's ttl, and a few restarts of the fog node. */
const MAX_ROUND_MS = 400_000

/** A property that must always hold did not. */
export class Violation extends Error {}

/** What the oracle knows of a job, kept apart from the scheduler's own books and counted in its own way. */
interface Record {
  settings: JobSettings
  base: string
  /** Momentum of the outer step, in float64. */
  momentum: Float64Array
  round: number
  samples: number
  /** One byte for each batch: in how many committed rounds it is. */
  done: Uint8Array
  grants: Map<string, LeaseGrant & { grantedAt: number }>
  lastFence: number
  /** Leases whose update was accepted, in the scheduler's memory: lease → CID. */
  accepted: Map<string, string>
  /** Leases whose contributor was told so: lease → CID. */
  promised: Map<string, string>
  /** The round for which a merge was asked for. */
  merging: number
  includedUpdates: Map<string, string>
  rounds: CommittedRound[]
  finished: boolean
  durable: JobCore | undefined
}

/** Watches every step and every command and knows what must hold. Throws a {@link Violation} as soon as something does not. */
export class Oracle {
  readonly #jobs = new Map<string, Record>()
  readonly #clock: VirtualClock
  readonly #random: Random
  readonly #disk: Disk
  readonly #freeze: boolean
  /** `included` messages that contributors got, and those that the network lost: contributor/lease. */
  readonly #included = new Map<string, number>()
  readonly #lost = new Set<string>()
  maxRoundMs = 0

  constructor(clock: VirtualClock, random: Random, disk: Disk, freeze: boolean) {
    this.#clock = clock
    this.#random = random
    this.#disk = disk
    this.#freeze = freeze
  }

  fail(what: string): never {
    throw new Violation(what)
  }

  addJob(settings: JobSettings, base: Checkpoint): void {
    this.#jobs.set(settings.job, {
      settings,
      base: checkpointName(base),
      momentum: Float64Array.from(base.momentum),
      round: 0,
      samples: 0,
      done: new Uint8Array(Math.ceil(settings.totalSamples / settings.batch)),
      grants: new Map(),
      lastFence: 0,
      accepted: new Map(),
      promised: new Map(),
      merging: 0,
      includedUpdates: new Map(),
      rounds: [],
      finished: false,
      durable: undefined,
    })
  }

  rounds(): number {
    return [...this.#jobs.values()].reduce((sum, job) => sum + job.rounds.length, 0)
  }

  /** Name of a job's newest checkpoint. */
  modelOf(job: string): string {
    return this.#job(job).base
  }

  get isFinished(): boolean {
    return [...this.#jobs.values()].every((job) => job.finished)
  }

  /** After each step of the scheduler, before anything of it is durable. */
  stepped(before: FogState, event: FogEvent, step: FogStep): void {
    const now = this.#clock.now
    const { state, commands, journal } = step
    if (this.#freeze) deepFreeze(state)
    for (const command of commands) {
      if (command.type === 'answer' && event.type === 'update') this.#judge(event, command.accepted, state)
      if (command.type === 'merge') this.#job(command.job).merging = command.round
      if (command.type === 'grant') this.#checkGrant(command.lease.contributor, state.jobs[command.job]!, state)
    }
    for (const [id, { core }] of Object.entries(state.jobs)) {
      const known = before.jobs[id]
      if (known?.core === core) continue
      if (known !== undefined && !journal.some((entry) => entry.job === id))
        this.fail(`job ${id} changed by '${event.type}' and nothing went to the journal`)
      this.#checkCore(core, known?.core)
    }
    if (event.type === 'contributor-joined' || event.type === 'contributor-offer') {
      const [slices, peer] = [slicesOf(event.offer), event.contributor]
      const known = state.contributors.filter((slice) => peerOf(slice.id) === peer)
      const isThere = event.type === 'contributor-joined' || before.contributors.some(({ id }) => id === peer)
      if (isThere && known.length !== slices.length)
        this.fail(`${peer} offers ${slices.length} slices, the scheduler knows ${known.length}`)
    }
    if (event.type === 'tick') {
      for (const contributor of state.contributors)
        if (now - contributor.lastSeenAt >= EVICT_MS + TIMER_SLACK_MS)
          this.fail(`${contributor.id} was silent for ${now - contributor.lastSeenAt} ms and is still there`)
      for (const { core } of Object.values(state.jobs))
        for (const lease of core.outstanding)
          if (lease.update === null && now >= lease.expiresAt + TIMER_SLACK_MS)
            this.fail(`lease ${lease.id} outlived its ttl`)
    }
    const waits = Object.values(state.jobs).some(({ core }) => core.phase === 'training' || core.phase === 'merging')
    if ((waits || state.contributors.length > 0) && state.wakeAt === null) this.fail('nothing would wake the scheduler')
  }

  /** What is durable of a job by now. */
  durable(job: string, core: JobCore): void {
    this.#job(job).durable = core
  }

  /** A restart read this from the disk. */
  restored(job: string, core: JobCore): void {
    const record = this.#job(job)
    if (!isDeepStrictEqual(core, JSON.parse(JSON.stringify(record.durable))))
      this.fail(`job ${job}: snapshot and journal do not give the state that was durable`)
    // Whatever was accepted in memory and did not reach the disk is forgotten by everybody.
    record.accepted = new Map(
      core.outstanding.flatMap((lease) => (lease.update === null ? [] : [[lease.id, lease.update.update] as const])),
    )
    for (const [lease, cid] of record.includedUpdates) record.accepted.set(lease, cid)
    for (const { lease, update } of core.last?.included ?? []) record.accepted.set(lease, update)
    record.merging = core.phase === 'merging' ? core.round : core.round - 1
    for (const [lease, cid] of record.promised)
      if (record.accepted.get(lease) !== cid) this.fail(`the update of ${lease} was accepted, and a crash lost it`)
    if (core.round - 1 < record.round) this.fail(`job ${job}: a crash took back round ${record.round}`)
  }

  /** A command is about to be carried out: all that it rests on is durable. */
  carriedOut(command: FogCommand): void {
    if (command.type === 'grant') this.#granted(command.job, command.lease)
    else if (command.type === 'merge') this.#merging(command)
    else if (command.type === 'committed') this.#committed(command.job, command.round)
    else if (command.type === 'finished') {
      const record = this.#job(command.job)
      if (command.state !== 'done') this.fail(`job ${command.job} ended as ${command.state}: ${command.reason}`)
      record.finished = true
    }
  }

  /** A contributor got an answer. */
  answered(update: SimulatedUpdate, answer: Answer): void {
    if (!answer.accepted) return
    this.#job(update.job).promised.set(update.lease, cidOfUpdate(update))
  }

  included(contributor: string, message: Extract<Downward, { type: 'included' }>): void {
    const { job, lease, round, samples } = message
    const entry = this.#job(job).rounds[round - 1]?.included.find((other) => other.lease === lease)
    if (entry === undefined || peerOf(entry.contributor) !== contributor || entry.samples !== samples)
      this.fail(
        `${contributor} was told that ${lease} is in round ${round} with ${samples} samples: the ledger differs`,
      )
    this.#included.set(`${contributor}/${lease}`, samples)
  }

  /** A message got lost on its way to a contributor. */
  lost(contributor: string, message: Downward): void {
    if (message.type === 'included') this.#lost.add(`${contributor}/${message.lease}`)
  }

  /** When all is over. */
  finish(): void {
    for (const [id, record] of this.#jobs) {
      const { settings, done, samples, rounds } = record
      if (!record.finished)
        this.fail(`job ${id} hangs: round ${record.round}, ${samples} of ${settings.totalSamples} samples`)
      const missing = done.findIndex((count) => count !== 1)
      if (missing >= 0) this.fail(`job ${id}: batch ${missing} is in ${done[missing]} rounds`)
      if (samples !== settings.totalSamples) this.fail(`job ${id}: ${samples} samples of ${settings.totalSamples}`)
      const shares = rounds.reduce((sum, round) => sum + round.shares.reduce((all, share) => all + share.samples, 0), 0)
      if (shares !== samples) this.fail(`job ${id}: shares of ${shares} samples of ${samples}`)
      for (const [lease, cid] of record.promised)
        if (record.includedUpdates.get(lease) !== cid) this.fail(`the accepted update of ${lease} is in no round`)
      for (const round of rounds)
        for (const { contributor, lease } of round.included)
          if (![this.#included, this.#lost].some((told) => told.has(`${peerOf(contributor)}/${lease}`)))
            this.fail(`${contributor} was never told that ${lease} is in round ${round.round}`)
    }
  }

  /** The answer to an update, against the lease as it was granted. */
  #judge(update: Extract<FogEvent, { type: 'update' }>, accepted: boolean, state: FogState): void {
    const record = this.#job(update.job)
    const { lease, contributor, fence, round, base, steps, samples } = update
    const before = record.accepted.get(lease)
    if (before === update.update) {
      // Whether it is in can be told until the round after next.
      if (!accepted && state.jobs[update.job]!.core.round <= round + 1)
        this.fail(`the accepted update of ${lease} was sent again and refused`)
      return
    }
    if (!accepted) return
    const grant = record.grants.get(lease)
    const late = record.merging >= round || record.finished
    const why =
      grant === undefined
        ? 'there is no such lease'
        : before !== undefined
          ? 'it has another update already'
          : peerOf(grant.contributor) !== contributor
            ? "it is somebody else's"
            : grant.fence !== fence
              ? 'its fence is another'
              : grant.round !== round || late
                ? 'its round is over'
                : grant.base.cid !== base || base !== record.base
                  ? 'its base is another'
                  : this.#clock.now >= grant.grantedAt + grant.ttlMs + TIMER_SLACK_MS
                    ? 'it has expired'
                    : !(steps >= 1 && steps <= batchesIn(grant).length)
                      ? 'its steps are not those'
                      : samples !== samplesIn(record, batchesIn(grant).slice(0, steps))
                        ? 'its samples are not those'
                        : ![update.lossSum, update.metricSum, update.norm].every(Number.isFinite)
                          ? 'its numbers are not finite'
                          : undefined
    if (why !== undefined) this.fail(`an update for lease ${lease} was accepted although ${why}`)
    record.accepted.set(lease, update.update)
  }

  /** A lease goes to a slice that is there, has the memory, and has nothing else to do. */
  #checkGrant(id: string, { core, memoryBytes }: FogState['jobs'][string], state: FogState): void {
    const slice = state.contributors.find((other) => other.id === id)
    if (slice === undefined) throw new Violation(`${id} got a lease and is not there`)
    if (slice.state === 'paused') this.fail(`${id} got a lease although it is paused`)
    if (slice.memoryBytes < memoryBytes)
      this.fail(`${id} got a lease of ${core.settings.job}, for which it has not the memory`)
    const held = Object.values(state.jobs)
      .flatMap((job) => job.core.outstanding)
      .filter((lease) => lease.contributor === id && lease.held && lease.update === null)
    if (held.length > 1) this.fail(`${id} has ${held.length} leases at once`)
  }

  #checkCore(core: JobCore, before: JobCore | undefined): void {
    const { ledger, settings, outstanding } = core
    if (ledger === before?.ledger && outstanding.length === before.outstanding.length) return
    this.#checkPartition(core)
    let count = 0
    for (const lease of outstanding) {
      count += countOf(lease.ranges)
      if (lease.fence >= core.fence) this.fail(`lease ${lease.id} has a fence to come`)
    }
    if (count !== countOf(ledger.leased))
      this.fail(`job ${settings.job}: leases hold ${count} batches, the ledger says otherwise`)
    if (core.fence === before?.fence) return
    const leased = outstanding.flatMap((lease) => lease.ranges).sort((a, b) => a[0] - b[0])
    leased.forEach(([from], index) => {
      if (index > 0 && from < leased[index - 1]![1]) this.fail(`job ${settings.job}: batch ${from} is leased twice`)
    })
  }

  /** Walks the free, leased and done ranges side by side: each batch must be in exactly one of them. */
  #checkPartition({ ledger, settings }: JobCore): void {
    const { free, leased, done } = ledger
    const total = Math.ceil(settings.totalSamples / settings.batch)
    let [inFree, inLeased, inDone] = [0, 0, 0]
    for (let at = 0; at < total; ) {
      if (free[inFree]?.[0] === at) at = free[inFree++]![1]
      else if (leased[inLeased]?.[0] === at) at = leased[inLeased++]![1]
      else if (done[inDone]?.[0] === at) at = done[inDone++]![1]
      else this.fail(`job ${settings.job}: the ledger is no partition at batch ${at}`)
    }
    if (inFree + inLeased + inDone !== free.length + leased.length + done.length)
      this.fail(`job ${settings.job}: the ledger has batches in two places`)
  }

  #granted(job: string, lease: LeaseGrant): void {
    const record = this.#job(job)
    if (lease.fence <= record.lastFence) this.fail(`fence ${lease.fence} of ${lease.id} came after ${record.lastFence}`)
    record.lastFence = lease.fence
    if (lease.round !== record.round + 1)
      this.fail(`${lease.id} is for round ${lease.round}, ${record.round} is committed`)
    if (lease.base.cid !== record.base)
      this.fail(`${lease.id} starts from ${lease.base.cid}, the model is ${record.base}`)
    if (batchesIn(lease).some((batch) => record.done[batch] !== 0)) this.fail(`${lease.id} leases a batch that is done`)
    if (!(lease.softMs > 0 && lease.ttlMs > lease.softMs)) this.fail(`${lease.id} ends before it begins`)
    record.grants.set(lease.id, { ...lease, grantedAt: this.#clock.now })
  }

  #merging(command: Extract<FogCommand, { type: 'merge' }>): void {
    const record = this.#job(command.job)
    if (command.round <= record.round) return // asked for again after a crash, and done meanwhile
    const ids = new Set(command.included.flatMap(({ lease, update }) => [lease, `update ${update}`]))
    if (ids.size !== 2 * command.included.length) this.fail(`round ${command.round} merges an update twice`)
    for (const [lease, cid] of record.promised) {
      if (record.grants.get(lease)!.round !== command.round) continue
      if (!command.included.some((other) => other.lease === lease && other.update === cid))
        this.fail(`the accepted update of ${lease} is not in its round`)
    }
  }

  #committed(job: string, round: CommittedRound): void {
    const record = this.#job(job)
    const known = record.rounds[round.round - 1]
    if (known !== undefined) {
      if (!isDeepStrictEqual(JSON.parse(JSON.stringify(known)), JSON.parse(JSON.stringify(round))))
        this.fail(`round ${round.round} was committed twice, differently`)
      return
    }
    if (round.round !== record.round + 1) this.fail(`round ${round.round} came after ${record.round}`)
    if (round.from.cid !== record.base) this.fail(`round ${round.round} starts from another base`)
    let samples = 0
    for (const entry of round.included) {
      const grant = record.grants.get(entry.lease)
      if (grant === undefined || grant.contributor !== entry.contributor)
        throw new Violation(`round ${round.round} has an update of the unknown lease ${entry.lease}`)
      if (record.includedUpdates.has(entry.lease)) this.fail(`the update of ${entry.lease} is in two rounds`)
      record.includedUpdates.set(entry.lease, entry.update)
      const trained = batchesIn(grant).slice(0, entry.steps)
      const listed = entry.ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))
      if (!isDeepStrictEqual(trained, listed))
        this.fail(`the ledger lists other batches for ${entry.lease} than it trained`)
      for (const batch of trained)
        if (++record.done[batch]! > 1) this.fail(`batch ${batch} of job ${job} is committed twice`)
      const count = samplesIn(record, trained)
      const inRanges = entry.ranges.reduce((sum, range) => sum + range.samples, 0)
      if (entry.samples !== count || inRanges !== count)
        this.fail(`${entry.lease} counts ${entry.samples} samples, its batches hold ${count}`)
      samples += count
    }
    record.samples += samples
    if (round.samples !== samples || round.samplesDone !== record.samples)
      this.fail(`round ${round.round} counts ${round.samples} samples (${round.samplesDone} in all), it has ${samples}`)
    this.#audit(record, round)
    if (round.millis > MAX_ROUND_MS) this.fail(`round ${round.round} took ${round.millis / 1000} s`)
    Object.assign(record, { base: round.base.cid, round: round.round })
    record.rounds.push(round)
    this.maxRoundMs = Math.max(this.maxRoundMs, round.millis)
  }

  /** Anybody who holds the updates gets the same model, bit for bit; and it is the one that DiLoCo's formula gives. */
  #audit(record: Record, round: CommittedRound): void {
    const before = this.#disk.files.get(round.from.cid)!
    const after = this.#disk.files.get(round.base.cid)
    if (after === undefined) throw new Violation(`the model of round ${round.round} is not on the disk`)
    const updates = this.#random.shuffled(round.included).map(({ lease, update, samples }) => {
      const stored = this.#disk.updates.get(update) ?? this.fail(`update ${update} is not on the disk`)
      return { id: lease, weight: samples, delta: stored.delta, buffers: stored.buffers }
    })
    const { outer } = record.settings
    const again = mergeRound({ ...before, updates, outer })
    if (checkpointName(again) !== round.base.cid) this.fail(`round ${round.round} does not recompute to the same bits`)
    const weight = updates.reduce((sum, update) => sum + update.weight, 0)
    before.theta.forEach((theta, i) => {
      const gradient = updates.reduce((sum, update) => sum + update.weight * elementOf(update.delta, i), 0) / weight
      const momentum = (record.momentum[i] = outer.momentum * record.momentum[i]! + gradient)
      const expected = theta - outer.learningRate * (gradient + outer.momentum * momentum)
      if (Math.abs(after.theta[i]! - expected) > 1e-4 * (1 + Math.abs(expected)))
        this.fail(`round ${round.round}: parameter ${i} is ${after.theta[i]}, the formula gives ${expected}`)
    })
  }

  #job(id: string): Record {
    return this.#jobs.get(id) ?? this.fail(`there is no job '${id}'`)
  }
}

/** Element `i` (of the first block) of an int8 delta, read without the codec. */
function elementOf(delta: Uint8Array, i: number): number {
  const scale = new DataView(delta.buffer, delta.byteOffset).getFloat32(0, true)
  return scale * new Int8Array(delta.buffer, delta.byteOffset + 4)[i]!
}

function batchesIn(lease: LeaseGrant): number[] {
  const batches: number[] = []
  for (const [from, to] of lease.ranges) for (let batch = from; batch < to; batch++) batches.push(batch)
  return batches
}

function samplesIn(record: Record, batches: readonly number[]): number {
  const { totalSamples } = record.settings
  return batches.reduce((sum, batch) => sum + Math.min(BATCH, totalSamples - batch * BATCH), 0)
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
}

/** Counted here, not by the ledger's own arithmetic. */
function countOf(ranges: readonly (readonly [number, number])[]): number {
  let count = 0
  for (let i = 0; i < ranges.length; i++) count += ranges[i]![1] - ranges[i]![0]
  return count
}
