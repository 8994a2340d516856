import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { explainJob, stateOf } from './explain.ts'
import { createJob, pendingCommands, restoreJob, stepJob } from './job.ts'
import { countOf } from './ranges.ts'
import { Drive, fileOf, settingsOf } from './testing/drive.ts'

test('a job is done when every batch is in a committed round, the short last one with its real samples', () => {
  const job = new Drive()
  job.open('a', 'b', 'c')
  for (let round = 1; job.core.phase !== 'ended'; round++) {
    assert.ok(round < 40, 'the job ends')
    job.now += 200
    for (const [contributor, lease] of job.leases)
      if (lease.round === round) assert.equal(job.submit(contributor, Math.min(job.steps(contributor), 45)), true)
    job.merge()
  }
  const rounds = job.all('committed').map(({ round }) => round)
  const samples = rounds.flatMap((round) =>
    round.included.flatMap((entry) => entry.ranges.map((range) => range.samples)),
  )
  assert.equal(
    samples.reduce((sum, count) => sum + count, 0),
    9_995,
  )
  assert.equal(job.core.samplesDone, 9_995)
  assert.deepEqual(job.core.ledger.done, [[0, 1_000]])
  assert.deepEqual(job.all('finished'), [{ type: 'finished', state: 'done' }])
  assert.equal(stateOf(job.core), 'done')
})

test('one contributor is enough, and it trains alone', () => {
  const job = new Drive({ totalSamples: 100 })
  job.open('a')
  assert.equal(job.submit('a', job.steps('a')), true)
  assert.equal(job.all('merge').length, 1)
})

test('what a partial update leaves of its lease is leased again', () => {
  const job = new Drive()
  job.open('a')
  const leased = job.steps('a')
  assert.equal(job.submit('a', 3), true)
  const [merge] = job.all('merge')
  assert.deepEqual(merge!.included, [{ lease: 'job.1', contributor: 'a', update: 'update of job.1', samples: 30 }])
  job.merge()
  assert.deepEqual(job.core.ledger.done, [[0, 3]])
  assert.ok(leased > 3)
  assert.equal(job.leases.get('a')!.ranges[0]![0], 3)
})

test('an update counts only once its round is committed', () => {
  const job = new Drive()
  job.open('a', 'b')
  job.submit('a', 5)
  assert.equal(job.core.samplesDone, 0)
  assert.deepEqual(job.core.ledger.done, [])
  job.submit('b', 5)
  assert.deepEqual(job.core.ledger.done, [])
  job.merge()
  assert.equal(countOf(job.core.ledger.done), 10)
})

test('an update that does not fit its lease is refused with its reason', () => {
  const job = new Drive()
  job.open('a', 'b')
  const leased = job.steps('a')
  const cases: [Parameters<Drive['report']>[2], number, string][] = [
    [{ fence: 7 }, 5, 'FENCE_STALE'],
    [{ round: 0 }, 5, 'ROUND_STALE'],
    [{ base: fileOf('z').cid }, 5, 'BASE_MISMATCH'],
    [{ contributor: 'b' }, 5, 'LEASE_UNKNOWN'],
    [{ lease: 'job.99', fence: 99 }, 5, 'LEASE_UNKNOWN'],
    [{}, 0, 'STEPS_INVALID'],
    [{ steps: leased + 1 }, leased, 'STEPS_INVALID'],
    [{ samples: 51 }, 5, 'SAMPLES_INVALID'],
    [{ lossSum: Number.NaN }, 5, 'UPDATE_NONFINITE'],
    [{ norm: Number.POSITIVE_INFINITY }, 5, 'UPDATE_NONFINITE'],
  ]
  const before = job.core
  for (const [changes, steps, code] of cases) assert.equal(job.submit('a', steps, changes), code)
  assert.equal(job.core, before, 'a refused update changes nothing, so nothing has to be journaled')
  assert.equal(job.submit('a', 5), true)
})

test('the same update again is accepted again and counts once; another one for its lease is refused', () => {
  const job = new Drive()
  job.open('a', 'b')
  assert.equal(job.submit('a', 5), true)
  const once = job.core
  assert.equal(job.submit('a', 5), true)
  assert.equal(job.core, once)
  assert.equal(job.submit('a', 6, { update: 'another' }), 'UPDATE_DUPLICATE')
  const late = job.report('a', 5)
  job.submit('b', 5)
  job.merge()
  const answers = job.send({ type: 'update', ...late })
  assert.deepEqual(
    answers,
    [{ type: 'answer', lease: late.lease, accepted: true }],
    'its answer got lost until after the commit',
  )
  assert.equal(job.core.samplesDone, 100)
})

test('who is late does not hold up the others, and its batches go to somebody else', () => {
  const job = new Drive()
  job.open('a', 'b', 'c', 'd')
  const late = job.report('d', 5)
  job.now += 1_010
  for (const contributor of ['a', 'b', 'c']) job.submit(contributor, 20)
  assert.equal(job.core.phase, 'training', 'the fourth is given a moment')
  job.passUntil(() => job.core.phase === 'merging')
  assert.ok(job.now <= 50 + 1_000 + 2_050)
  assert.deepEqual(
    job.all('revoke').map(({ contributor }) => contributor),
    ['d'],
  )
  assert.equal(job.send({ type: 'update', ...late })[0]!.type, 'answer')
  assert.equal(job.submit('d', 5, late), 'FENCE_STALE')
  job.merge()
  assert.equal(job.submit('d', 5, late), 'ROUND_STALE')
  const [round] = job.all('committed')
  assert.deepEqual(
    round!.round.excluded.map(({ contributor }) => contributor),
    ['d'],
  )
  assert.equal(job.core.samplesDone, 600)
})

test('a round that is late as a whole waits a moment for those who are just behind', () => {
  const job = new Drive()
  job.open('a', 'b', 'c', 'd')
  job.now += 6_000
  job.submit('a', 1)
  job.now += 100
  job.submit('b', 1)
  job.now += 100
  job.submit('c', 1)
  assert.equal(job.core.phase, 'training')
  job.now += 700
  job.submit('d', 1)
  assert.equal(job.all('merge')[0]!.included.length, 4)
})

test('without a quorum the round waits for the stragglers, until their leases expire', () => {
  const job = new Drive()
  job.open('a', 'b')
  job.submit('a', 20)
  job.passUntil(() => job.core.phase === 'merging')
  assert.equal(job.now, 50 + 3 * 4_000 + 30_000)
  assert.deepEqual(
    job.all('merge')[0]!.included.map(({ contributor }) => contributor),
    ['a'],
  )
})

test('nobody waits for one who left, but its update is welcome until the round closes', () => {
  const job = new Drive()
  job.open('a', 'b', 'c')
  job.send({ type: 'left', contributor: 'c' })
  job.send({ type: 'left', contributor: 'b' })
  assert.equal(job.submit('b', 4), true)
  job.submit('a', 20)
  assert.deepEqual(
    job.all('merge')[0]!.included.map(({ contributor }) => contributor),
    ['a', 'b'],
  )
})

test('when all leases are lost the round starts anew with whoever is there', () => {
  const job = new Drive()
  job.open('a')
  job.send({ type: 'left', contributor: 'a' })
  job.now += 900
  job.send({ type: 'joined', contributor: 'b', flops: 0 })
  job.passUntil(() => job.leases.has('b'))
  assert.equal(job.leases.get('b')!.round, 1)
  assert.ok(job.leases.get('b')!.fence > job.leases.get('a')!.fence)
  assert.equal(job.submit('a', 3), 'FENCE_STALE')
  assert.equal(job.submit('b', 3), true)
})

test('a contributor that comes back with its lease goes on; without it, the lease is given anew', () => {
  const job = new Drive()
  job.open('a', 'b')
  const { id } = job.leases.get('a')!
  job.send({ type: 'left', contributor: 'a' })
  job.send({ type: 'left', contributor: 'b' })
  job.now += 200
  assert.deepEqual(job.send({ type: 'resumed', contributor: 'a', leases: [id], flops: 0 }), [])
  const again = job.send({ type: 'resumed', contributor: 'b', leases: ['job.77'], flops: 0 })
  assert.deepEqual(
    again.map(({ type }) => type),
    ['revoke', 'grant'],
  )
  assert.equal(job.leases.get('b')!.fence, 3)
  assert.equal(job.leases.get('b')!.softMs, 800, 'what is left of the round')
  assert.equal(job.submit('a', 4), true)
})

test('who comes late gets a lease at once while a third of the round is left, then waits', () => {
  const job = new Drive()
  job.open('a')
  job.now += 650
  job.send({ type: 'joined', contributor: 'b', flops: 0 })
  assert.equal(job.leases.get('b')!.softMs, 350)
  job.now += 100
  job.send({ type: 'joined', contributor: 'c', flops: 0 })
  assert.equal(job.leases.has('c'), false)
  job.submit('a', 20)
  job.submit('b', 5)
  job.merge()
  assert.equal(job.leases.get('c')!.round, 2)
})

test('measured speed decides what the next lease holds', () => {
  const job = new Drive({ totalSamples: 1_000_000 })
  job.open('a', 'b')
  job.submit('a', 40, { millis: 1_000 })
  job.submit('b', 10, { millis: 1_000 })
  job.merge()
  assert.equal(job.steps('a'), 2 * 4 * 40)
  assert.equal(job.steps('b'), 2 * 4 * 10)
})

test('the learning rate of a lease follows the samples committed before its round', () => {
  const job = new Drive()
  job.open('a')
  assert.equal(job.leases.get('a')!.learningRate.from, 0.1)
  job.submit('a', 20)
  job.merge()
  const { from, to } = job.leases.get('a')!.learningRate
  assert.ok(Math.abs(from - 0.1 * (1 - 200 / 9_995)) < 1e-12)
  // 20 steps in 1 s: 80 are expected in this round, 160 are leased, and the rate after 80 is that of 800 samples more.
  assert.equal(job.steps('a'), 160)
  assert.ok(Math.abs((from + to) / 2 - 0.1 * (1 - 1_000 / 9_995)) < 1e-12)
})

test('with fewer contributors than it needs a job waits and says so', () => {
  const job = new Drive({ contributors: { min: 3, max: 3 } })
  job.open('a', 'b')
  assert.equal(job.leases.size, 0)
  const explanation = explainJob(job.core)
  assert.equal(explanation.state, 'queued')
  assert.match(explanation.sentence, /2 of at least 3/)
  assert.match(explanation.constraints[0]!.change, /Start 1 more contributor/)
  job.open('c', 'd')
  assert.equal(job.leases.size, 3, 'and it takes no more than it may')
  assert.match(explainJob(job.core).sentence, /Round 1 is under way/)
})

test('a job whose leases fail everywhere ends with what the last one said', () => {
  const job = new Drive()
  job.open('a', 'b', 'c', 'd')
  const fail = (contributor: string) =>
    job.send({
      type: 'released',
      contributor,
      lease: job.leases.get(contributor)!.id,
      reason: 'failed',
      code: 'OPERATOR_FAILED',
      message: 'MatMul: shapes do not fit.',
    })
  fail('a')
  fail('b')
  assert.equal(job.core.phase, 'training')
  fail('c')
  assert.deepEqual(job.all('finished'), [
    { type: 'finished', state: 'failed', reason: 'OPERATOR_FAILED: MatMul: shapes do not fit.' },
  ])
  assert.match(explainJob(job.core).sentence, /MatMul/)
})

test('a lone contributor that fails is asked once more', () => {
  const job = new Drive()
  job.open('a')
  const fail = () =>
    job.send({ type: 'released', contributor: 'a', lease: job.leases.get('a')!.id, reason: 'diverged' })
  fail()
  job.passUntil(() => job.leases.get('a')!.fence === 2)
  assert.ok(job.now >= 1_000)
  fail()
  assert.equal(job.core.final?.state, 'failed')
})

test('a few broken machines among many do not end a job', () => {
  const job = new Drive()
  const names = Array.from({ length: 20 }, (_, i) => `c${10 + i}`)
  job.open(...names)
  for (const contributor of names.slice(0, 5))
    job.send({ type: 'released', contributor, lease: job.leases.get(contributor)!.id, reason: 'failed' })
  for (const contributor of names.slice(5)) job.submit(contributor, 5)
  job.merge()
  assert.equal(job.core.samplesDone, 15 * 50)
})

test('whoever refuses is not asked again at once', () => {
  const job = new Drive()
  job.open('a')
  job.send({ type: 'released', contributor: 'a', lease: 'job.1', reason: 'refused', message: 'Too little memory.' })
  assert.equal(job.core.phase, 'waiting')
  job.passUntil(() => job.leases.get('a')!.fence === 2)
  assert.equal(job.now, 1_100)
})

test('a stopped job takes its leases back and answers what still comes', () => {
  const job = new Drive()
  job.open('a', 'b')
  job.submit('a', 5)
  const commands = job.send({ type: 'stop', reason: 'The user stopped it.' })
  assert.deepEqual(
    commands.map(({ type }) => type),
    ['revoke', 'finished'],
  )
  assert.equal(job.submit('b', 5), 'LEASE_UNKNOWN')
  assert.deepEqual(job.core.ledger.free, [[0, 1_000]])
  assert.deepEqual(job.merge(), [])
})

test('a job that is not done by its deadline fails', () => {
  const job = new Drive({ deadlineAt: 5_000 })
  job.passUntil(() => job.core.phase === 'ended')
  assert.equal(job.now, 5_000)
  assert.match(job.core.final!.reason!, /deadline/)
})

test('snapshot and journal give the state back, with all that was under way', () => {
  const job = new Drive()
  const first = JSON.parse(JSON.stringify(job.core))
  job.open('a', 'b')
  job.submit('a', 5)
  job.submit('b', 5)
  const core = restoreJob(first, JSON.parse(JSON.stringify(job.journal)))
  assert.deepEqual(core, job.core)
  const merge = pendingCommands(core).find((command) => command.type === 'merge')
  assert.deepEqual(merge, job.all('merge')[0])
  job.merge()
  const later = restoreJob(first, job.journal)
  const committed = pendingCommands(later).find((command) => command.type === 'committed')
  assert.deepEqual(committed, job.all('committed')[0])
})

test('after a restart leases go on: updates are taken, contributors are waited for, nothing hangs', () => {
  const job = new Drive()
  job.open('a', 'b')
  const { id } = job.leases.get('a')!
  job.send({ type: 'restarted' })
  job.now += 2_000
  job.send({ type: 'resumed', contributor: 'a', leases: [id], flops: 0 })
  assert.equal(job.submit('a', 10), true)
  job.passUntil(() => job.core.phase === 'merging')
  assert.equal(job.now, 50 + 10_000, 'b had its chance to come back')
})

test('a step leaves the state that it was given as it was', () => {
  const core = createJob(settingsOf(), fileOf('a'), 0)
  const copy = structuredClone(core)
  const first = stepJob(core, { type: 'joined', at: 5, contributor: 'a', flops: 0 })
  assert.deepEqual(core, copy)
  assert.deepEqual(stepJob(core, { type: 'joined', at: 5, contributor: 'a', flops: 0 }), first)
})

test('a tick before its time changes nothing', () => {
  const job = new Drive()
  job.open('a')
  const before = job.core
  assert.deepEqual(job.pass(10), [{ type: 'wake', at: before.wakeAt! }])
  assert.equal(job.core, before)
})

test('settings that make no sense are refused', () => {
  const invalid = (error: unknown) => isPinGoError(error, 'JOB_INVALID')
  for (const changes of [
    { batch: 0 },
    { totalSamples: 1.5 },
    { roundMs: 0 },
    { job: 'x'.repeat(81) },
    { contributors: { min: 3, max: 2 } },
    { contributors: { min: 0, max: 2 } },
  ])
    assert.throws(() => createJob(settingsOf(changes), fileOf('a'), 0), invalid)
})
