import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JobSettings, type LeaseGrant, restoreJob, samplesOf, splitAt } from '@pingo/training'
import { EVICT_MS } from '@pingo/wire'
import { TURN_MS } from './balance.ts'
import { jobOfLease } from './draft.ts'
import { explain } from './explain.ts'
import { createFog, pendingFogCommands, stepFog } from './fog.ts'
import { peerOf } from './slice-id.ts'
import type { FogCommand, FogEvent, FogState, JournalEntry } from './types.ts'

type WithoutTime<E> = E extends unknown ? Omit<E, 'at'> : never

const base = { cid: `b${'a'.repeat(30)}`, bytes: 1 }
const offer = { cores: 1, memoryBytes: 8, diskBytes: 0 }
const settingsOf = (job: string, changes: Partial<JobSettings> = {}): JobSettings => ({
  job,
  batch: 10,
  samples: 1_000_000,
  totalSamples: 1_000_000,
  parameters: 1,
  seed: 0,
  roundMs: 1_000,
  learningRate: 0.1,
  schedule: { kind: 'constant', warmup: 0, floor: 1 },
  outer: { learningRate: 0.7, momentum: 0.9 },
  contributors: { min: 1, max: 100 },
  flopsPerSample: 0,
  ...changes,
})

/** A scheduler with a clock that the test moves, and contributors that do as they are told. */
class Desk {
  state: FogState = createFog()
  now = 0
  readonly commands: FogCommand[] = []
  readonly journal: JournalEntry[] = []
  readonly leases = new Map<string, { job: string; lease: LeaseGrant }>()

  send(event: WithoutTime<FogEvent>): FogCommand[] {
    const { state, commands, journal } = stepFog(this.state, { ...event, at: this.now } as FogEvent)
    this.state = state
    this.commands.push(...commands)
    this.journal.push(...journal)
    for (const command of commands)
      if (command.type === 'grant')
        this.leases.set(command.lease.contributor, { job: command.job, lease: command.lease })
    return commands
  }

  join(...contributors: string[]): void {
    for (const contributor of contributors)
      this.send({ type: 'contributor-joined', contributor, offer, flops: 0, leases: [] })
  }

  submitJob(job: string, changes: Partial<JobSettings> = {}, memoryBytes = 0): void {
    this.send({ type: 'job-submitted', settings: settingsOf(job, changes), base, memoryBytes })
  }

  pass(ms: number): FogCommand[] {
    this.now += ms
    for (const peer of new Set(this.state.contributors.map((slice) => slice.peer))) {
      const slices = this.state.contributors.filter((slice) => slice.peer === peer)
      const reports = slices.map(() => ({ state: 'training' as const }))
      this.send({ type: 'contributor-heartbeat', contributor: peer, slices: reports })
    }
    return this.send({ type: 'tick' })
  }

  /** Everybody with a lease in `job` submits; the merge is done. */
  round(job: string): void {
    for (const [contributor, { job: mine, lease }] of [...this.leases]) {
      if (mine !== job || !this.state.jobs[job]!.core.outstanding.some(({ id }) => id === lease.id)) continue
      const samples = samplesOf({ batch: 10, totalSamples: 1_000_000 }, splitAt(lease.ranges, 5)[0])
      const { id, fence, round } = lease
      const report = { lease: id, fence, round, base: lease.base.cid, steps: 5, samples, lossSum: 1, metricSum: 1 }
      this.send({
        type: 'update',
        job,
        contributor: peerOf(contributor),
        ...report,
        millis: 1_000,
        update: `u${id}`,
        norm: 1,
      })
    }
    const { round } = this.state.jobs[job]!.core
    this.send({ type: 'merged', job, round, base: { cid: `${base.cid}${round}`, bytes: 1 } })
  }

  get jobs(): (string | null)[] {
    return this.state.contributors.map(({ job }) => job)
  }
}

test('a job submitted to idle contributors starts with all of them in one round', () => {
  const fog = new Desk()
  fog.join('a', 'b', 'c')
  fog.submitJob('one')
  fog.pass(50)
  assert.deepEqual(
    [...fog.leases.values()].map(({ lease }) => lease.round),
    [1, 1, 1],
  )
  assert.equal(explain(fog.state, 'one')!.state, 'running')
})

test('a second job gets its share at the end of the round, not before', () => {
  const fog = new Desk()
  fog.join('a', 'b', 'c', 'd')
  fog.submitJob('one')
  fog.pass(50)
  fog.submitJob('two')
  assert.deepEqual(fog.jobs, ['one', 'one', 'one', 'one'])
  assert.match(explain(fog.state, 'two')!.sentence, /waits its turn/)
  fog.round('one')
  fog.pass(50)
  assert.deepEqual(fog.jobs.filter((job) => job === 'two').length, 2)
  assert.equal(fog.state.jobs.one!.core.outstanding.length, 2)
  assert.equal(fog.state.jobs.two!.core.outstanding.length, 2)
})

test('when there are more jobs than contributors they take turns, the longest wait first', () => {
  const fog = new Desk()
  fog.join('a')
  for (const job of ['one', 'two', 'three']) fog.submitJob(job)
  const turns: string[] = []
  while (turns.length < 7) {
    fog.pass(50)
    const { job } = fog.leases.get('a')!
    if (turns.at(-1) !== job) turns.push(job)
    for (let passed = 0; passed < TURN_MS; passed += 5_000) fog.pass(5_000)
    fog.round(job)
  }
  assert.deepEqual(turns, ['one', 'two', 'three', 'one', 'two', 'three', 'one'])
})

test('the end of a job gives its contributors to the others', () => {
  const fog = new Desk()
  fog.join('a', 'b')
  fog.submitJob('one')
  fog.submitJob('two')
  fog.pass(50)
  fog.round('one')
  fog.pass(50)
  assert.deepEqual([...fog.jobs].sort(), ['one', 'two'])
  fog.send({ type: 'job-stop', job: 'one', reason: 'Enough.' })
  assert.deepEqual(fog.jobs, ['two', 'two'])
  assert.equal(explain(fog.state, 'one')!.state, 'stopped')
})

test('a job waits for contributors with enough memory and says so', () => {
  const fog = new Desk()
  fog.join('a')
  fog.submitJob('large', {}, 9)
  fog.pass(50)
  assert.equal(fog.leases.size, 0)
  const explanation = explain(fog.state, 'large')!
  assert.match(explanation.sentence, /0 of at least 1 that can run it/)
  assert.ok(explanation.constraints.some(({ what }) => /less memory/.test(what)))
  assert.equal(explain(new Desk().state, 'large'), undefined)
})

test('a contributor that is silent is sent away, and the round does not wait for it', () => {
  const fog = new Desk()
  fog.join('a', 'b')
  fog.submitJob('one')
  fog.pass(50)
  const wake = fog.commands.findLast((command) => command.type === 'wake')!
  assert.ok(wake.type === 'wake' && wake.at <= EVICT_MS + 50)
  fog.now += EVICT_MS - 1
  fog.send({ type: 'contributor-heartbeat', contributor: 'a', slices: [{ state: 'training' }] })
  fog.send({ type: 'tick' })
  assert.equal(fog.state.contributors.length, 2)
  fog.now += 51
  const gone = fog.send({ type: 'tick' })
  assert.ok(gone.some((command) => command.type === 'disconnect' && command.contributor === 'b'))
  fog.round('one')
  assert.equal(fog.state.jobs.one!.core.round, 2)
  assert.deepEqual(
    fog.send({ type: 'contributor-heartbeat', contributor: 'b', slices: [{ state: 'idle' }] }).map(({ type }) => type),
    ['disconnect'],
  )
})

test('a contributor that reconnects keeps its lease', () => {
  const fog = new Desk()
  fog.join('a', 'b')
  fog.submitJob('one')
  fog.pass(50)
  const { id } = fog.leases.get('a')!.lease
  fog.send({ type: 'contributor-left', contributor: 'a' })
  fog.send({ type: 'contributor-joined', contributor: 'a', offer, flops: 0, leases: [id, 'other.7'] })
  assert.equal(fog.leases.get('a')!.lease.id, id)
  assert.deepEqual(
    fog.commands.filter((command) => command.type === 'revoke').map(({ job, lease }) => [job, lease]),
    [['other', 'other.7']],
  )
  fog.round('one')
  assert.equal(fog.state.jobs.one!.core.last!.included.length, 2)
})

test('a grant that never arrived is given anew when its contributor turns out to be idle', () => {
  const fog = new Desk()
  fog.join('a')
  fog.submitJob('one', { roundMs: 20_000 })
  fog.pass(50)
  fog.now += 1_000
  fog.send({ type: 'contributor-heartbeat', contributor: 'a', slices: [{ state: 'idle' }] })
  assert.equal(fog.leases.get('a')!.lease.fence, 1, 'it may still be on its way')
  fog.now += 3_000
  fog.send({ type: 'contributor-heartbeat', contributor: 'a', slices: [{ state: 'idle' }] })
  fog.pass(50)
  assert.equal(fog.leases.get('a')!.lease.fence, 2)
})

test('a contributor that works on a void lease is told', () => {
  const fog = new Desk()
  fog.join('a')
  fog.submitJob('one')
  fog.pass(50)
  const commands = fog.send({
    type: 'contributor-heartbeat',
    contributor: 'a',
    slices: [{ state: 'training', lease: 'one.99' }],
  })
  assert.deepEqual(
    commands.map(({ type }) => type),
    ['revoke'],
  )
})

test('a paused contributor is left alone until it is idle again', () => {
  const fog = new Desk()
  fog.join('a')
  fog.submitJob('one')
  fog.send({ type: 'contributor-heartbeat', contributor: 'a', slices: [{ state: 'paused' }] })
  fog.now += 50
  fog.send({ type: 'tick' })
  assert.equal(fog.leases.size, 0)
  assert.ok(explain(fog.state, 'one')!.constraints.some(({ what }) => /paused/.test(what)))
  fog.send({ type: 'contributor-heartbeat', contributor: 'a', slices: [{ state: 'idle' }] })
  fog.now += 50
  fog.send({ type: 'tick' })
  assert.equal(fog.leases.size, 1)
})

test('an update for a job that nobody knows gets an answer', () => {
  const report = { contributor: 'a', lease: 'x.1', fence: 1, round: 1, base: 'b', steps: 1, samples: 1 }
  const fog = new Desk()
  const commands = fog.send({
    type: 'update',
    job: 'x',
    ...report,
    lossSum: 0,
    metricSum: 0,
    millis: 1,
    update: 'u',
    norm: 1,
  })
  assert.ok(commands[0]!.type === 'answer' && !commands[0]!.accepted && commands[0]!.code === 'LEASE_UNKNOWN')
  assert.equal(jobOfLease('job-1.2.3'), 'job-1.2')
})

test('the journal of a job gives its state back, and what was under way is done again', () => {
  const fog = new Desk()
  fog.join('a', 'b')
  fog.submitJob('one')
  const snapshot = fog.state.jobs.one!.core
  fog.journal.length = 0
  fog.pass(50)
  fog.round('one')
  fog.pass(10)
  const core = restoreJob(
    snapshot,
    fog.journal.filter(({ job }) => job === 'one').map(({ event }) => event),
  )
  assert.deepEqual(core, fog.state.jobs.one!.core)

  const restarted = new Desk()
  restarted.now = fog.now + 5_000
  const commands = restarted.send({ type: 'job-restored', core, memoryBytes: 0 })
  assert.deepEqual(
    commands.map(({ type }) => type),
    ['wake'],
  )
  assert.deepEqual(
    restarted.journal.map(({ event }) => event.type),
    ['restarted'],
  )
  assert.deepEqual(
    pendingFogCommands(restarted.state, 'one').map(({ type }) => type),
    ['committed', 'wake'],
  )
  const { id } = fog.leases.get('a')!.lease
  restarted.send({ type: 'contributor-joined', contributor: 'a', offer, flops: 0, leases: [id] })
  assert.deepEqual(restarted.jobs, ['one'])
  assert.ok(restarted.state.jobs.one!.core.outstanding.some((lease) => lease.id === id && lease.held))
})

test('a tick that changes nothing writes nothing', () => {
  const fog = new Desk()
  fog.join('a')
  fog.submitJob('one')
  fog.pass(50)
  fog.journal.length = 0
  fog.pass(10)
  assert.deepEqual(fog.journal, [])
})

const halves = (count: number, memoryBytes = 8) => ({
  cores: count,
  memoryBytes: count * memoryBytes,
  diskBytes: 0,
  slices: Array.from({ length: count }, () => ({ cores: 1, memoryBytes })),
})
const updateOf = (contributor: string, { job, lease }: { job: string; lease: LeaseGrant }) => {
  const { id, fence, round, ranges } = lease
  const samples = samplesOf({ batch: 10, totalSamples: 1_000_000 }, splitAt(ranges, 5)[0])
  const report = { lease: id, fence, round, base: lease.base.cid, steps: 5, samples, lossSum: 1, metricSum: 1 }
  return { type: 'update' as const, job, contributor, ...report, millis: 1_000, update: `u${id}`, norm: 1 }
}

test('each slice of a contributor works on a lease of its own, for one job or several; its updates come from the contributor', () => {
  const fog = new Desk()
  fog.send({ type: 'contributor-joined', contributor: 'a', offer: halves(4), flops: 8, leases: [] })
  fog.submitJob('one')
  fog.submitJob('two')
  fog.pass(50)
  assert.deepEqual([...fog.leases.keys()].sort(), ['a', 'a/1', 'a/2', 'a/3'])
  fog.round('one')
  fog.pass(50)
  assert.deepEqual(fog.jobs.toSorted(), ['one', 'one', 'two', 'two'])
  const mine = fog.leases.get('a/3')!
  const answers = (contributor: string) =>
    fog.send(updateOf(contributor, mine)).filter((command) => command.type === 'answer')
  assert.deepEqual(
    ['b', 'a', 'a'].map((peer) => answers(peer)[0]!.accepted),
    [false, true, true],
  )
})

test('an offer that changes brings slices, takes slices, and lets a slice go whose memory is too little; what they did is taken', () => {
  const fog = new Desk()
  fog.send({ type: 'contributor-joined', contributor: 'a', offer: halves(2), flops: 0, leases: [] })
  fog.submitJob('one', {}, 4)
  fog.pass(50)
  const before = new Map(fog.leases)
  fog.send({ type: 'contributor-offer', contributor: 'a', offer: halves(3), flops: 0 })
  assert.deepEqual(fog.jobs, ['one', 'one', 'one'])
  const { slices } = halves(1)
  fog.send({ type: 'contributor-offer', contributor: 'a', offer: { ...halves(1), slices }, flops: 0 })
  assert.deepEqual(fog.jobs, ['one'])
  fog.send({ type: 'contributor-offer', contributor: 'a', offer: halves(1, 2), flops: 0 })
  assert.deepEqual(fog.jobs, [null])
  const [answer] = fog.send(updateOf('a', before.get('a/1')!))
  assert.ok(answer?.type === 'answer' && answer.accepted)
})

test('a contributor that comes back with fewer slices has not lost what the others do', () => {
  const fog = new Desk()
  fog.send({ type: 'contributor-joined', contributor: 'a', offer: halves(2), flops: 0, leases: [] })
  fog.submitJob('one')
  fog.pass(50)
  const leases = [...fog.leases.values()].map(({ lease }) => lease.id)
  const commands = fog.send({ type: 'contributor-joined', contributor: 'a', offer: halves(1), flops: 0, leases })
  assert.deepEqual(
    commands.filter((command) => command.type === 'revoke'),
    [],
  )
  const [answer] = fog.send(updateOf('a', fog.leases.get('a/1')!))
  assert.ok(answer?.type === 'answer' && answer.accepted)
})

test('of more slices than a job can use those get leases that will probably stay; a forecast counts in the plan', () => {
  const fog = new Desk()
  fog.join('a', 'b', 'c')
  for (const [contributor, probability] of Object.entries({ a: 0.2, b: 0.9, c: 0.6 }))
    fog.send({
      type: 'contributor-heartbeat',
      contributor,
      slices: [{ state: 'idle' }],
      survival: [
        { minutes: 1, probability },
        { minutes: 60, probability: probability / 2 },
      ],
    })
  fog.submitJob('one', { contributors: { min: 1, max: 2 }, roundMs: 60_000 })
  assert.deepEqual(fog.jobs, [null, 'one', 'one'])
  assert.deepEqual(
    fog.state.jobs.one!.core.members.map(({ survival }) => survival),
    [0.9, 0.6],
  )
})
