import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCapacity, stepCapacity, wakeOf } from './core.ts'
import { type SimMachine, simulate } from './simulation.ts'

const F = 100e9
const SEEDS = 1_000
const plain: SimMachine = { identities: 1, slices: 2, cores: 2, flops: F, rttMs: 2, jitterMs: 5 }
const busy = (random: { next(): number }) => (random.next() < 0.2 ? 0.2 + 0.6 * random.next() : 1)

/** Sums of credits after the third session, and what is said then. */
function third(machines: SimMachine[], seed: number) {
  const peers = simulate(machines, 3, seed)
  return {
    flops: peers.reduce((sum, { credit }) => sum + credit!.flops, 0),
    cores: peers.reduce((sum, { credit }) => sum + credit!.cores, 0),
    flags: peers.map(({ credit }) => credit!.flag),
  }
}

const within = (value: number, from: number, to: number, what: string) =>
  assert.ok(value >= from && value <= to, `${what}: ${value} is not in ${from} … ${to}`)

test('a machine that claims twice its cores is credited what it has, and said to overclaim after three challenges', () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { flops, cores, flags } = third([{ ...plain, slices: 4, claim: F }], seed)
    within(flops / (2 * F), 0.8, 1.02, `seed ${seed}`)
    within(cores, 1.6, 2.2, `seed ${seed}`)
    assert.deepEqual(flags, ['overclaimed'])
  }
})

test('one machine as ten contributors is credited at most 1.1 times one, after each session', () => {
  for (let seed = 0; seed < SEEDS / 4; seed++) {
    const peers = simulate([{ ...plain, identities: 10, slices: 1, cores: 1, claim: F }], 3, seed)
    for (let s = 0; s < 3; s++) {
      within(peers.reduce((sum, { history }) => sum + history[s]!.flops, 0) / F, 0.7, 1.1, `seed ${seed}`)
      within(
        peers.reduce((sum, { history }) => sum + history[s]!.cores, 0),
        0.7,
        1.1,
        `seed ${seed}`,
      )
    }
    assert.ok(peers.every(({ credit }) => credit!.flag === 'overclaimed'))
  }
})

test('a slow machine that claims to be fast is found slow after three challenges', () => {
  for (let seed = 0; seed < SEEDS; seed++)
    for (const times of [2, 10]) {
      const { flops, flags } = third([{ ...plain, flops: F / times, claim: F }], seed)
      within(flops / ((2 * F) / times), 0.5, 1.02, `seed ${seed}`)
      assert.deepEqual(flags, ['slow'])
    }
})

test('work done by a helper 50 ms away is found after three challenges, whether all of it or only what is quicker there', () => {
  for (let seed = 0; seed < SEEDS; seed++)
    for (const always of [true, false]) {
      const helper = { flops: F, cores: 2, rttMs: 50, always }
      const { flops, flags } = third([{ ...plain, flops: F / 4, claim: F, helper }], seed)
      assert.deepEqual(flags, ['outsourced'], `seed ${seed}`)
      within(flops / (2 * F), 0, 0.55, `seed ${seed}`)
    }
})

test('who delays echoes to hide a helper only looks far away: it is credited no more than is really done', () => {
  for (let seed = 0; seed < 200; seed++) {
    const helper = { flops: F, cores: 2, rttMs: 50, always: true, delaysEchoes: true }
    const { flops } = third([{ ...plain, flops: F / 4, claim: F, helper }], seed)
    within(flops / (2 * F), 0.3, 1, `seed ${seed}`)
  }
})

test('invented answers are found and nothing is credited', () => {
  for (let seed = 0; seed < 200; seed++) {
    const { flops, flags } = third([{ ...plain, invents: 0.5 }], seed)
    assert.deepEqual(flags, ['wrong-answer'])
    assert.equal(flops, 0)
  }
})

const honest: Record<string, SimMachine[]> = {
  quiet: [plain],
  'far away on a bad line': [{ ...plain, rttMs: 150, jitterMs: 80 }],
  'with an owner who comes and goes': [{ ...plain, free: busy, paused: 0.3 }],
  'a telephone': [{ ...plain, slices: 1, cores: 1, flops: 4e9, rttMs: 60, jitterMs: 100, free: busy }],
  'with hyper-threads': [{ ...plain, slices: 8, cores: 8, shared: 0.55 }],
  'four contributors of one machine': [{ ...plain, identities: 4, slices: 1, cores: 2 }],
  'an office': [
    plain,
    { ...plain, flops: F / 3, free: busy, rttMs: 5 },
    { ...plain, slices: 6, cores: 6, paused: 0.5, jitterMs: 20 },
    { ...plain, flops: F / 10, slices: 1, cores: 1, free: busy, jitterMs: 60 },
  ],
}

for (const [name, machines] of Object.entries(honest))
  test(`honest machines are never accused: ${name}`, () => {
    for (let seed = 0; seed < SEEDS / machines.length; seed++)
      for (const { id, history } of simulate(machines, 12, seed))
        for (const [s, { flag }] of history.entries())
          assert.equal(flag, undefined, `seed ${seed}: ${id} was said to be ${flag} after session ${s + 1}`)
  })

test('honest machines are credited what they have', () => {
  for (let seed = 0; seed < 200; seed++) {
    within(third([plain], seed).flops / (2 * F), 0.8, 1.02, 'quiet')
    within(
      third(
        honest['an office']!.map(({ paused: _, free: __, ...m }) => m),
        seed,
      ).flops /
        (F * (2 + 2 / 3 + 6 + 0.1)),
      0.75,
      1.02,
      'office',
    )
    within(third(honest['four contributors of one machine']!, seed).flops / (2 * F), 0.7, 1.02, 'shared')
  }
})

test('a busy moment costs credit only for a while', () => {
  let sessions = 0
  const free = () => (++sessions >= 4 && sessions <= 6 ? 0.5 : 1)
  const [peer] = simulate([{ ...plain, free }], 14, 1)
  const flops = peer!.history.map((credit) => credit.flops / (2 * F))
  assert.ok(Math.min(...flops.slice(3, 7)) < 0.6, String(flops))
  assert.ok(flops.at(-1)! > 0.85, String(flops))
})

test('sessions cost at most one part in a hundred of the time, however often neighbours come and go', () => {
  const state = createCapacity()
  let draws = 0
  const chance = { random: () => (draws = (draws * 0.618 + 0.31) % 1), seed: () => new Uint8Array(32) }
  const asked: number[] = []
  const claim = { slices: [1], flops: F }
  let [began, worked] = [0, 0]
  const act = (event: Parameters<typeof stepCapacity>[1]): void => {
    for (const command of stepCapacity(state, event, chance)) {
      if (command.type === 'send') {
        const { challenge, peer } = command
        if (peer === 'old' && challenge.step === 'prepare') asked.push((began = event.at))
        const at = event.at + (challenge.step === 'work' ? Math.min(challenge.ms, 30) : 1)
        for (const slice of challenge.slices)
          act({
            type: 'answer',
            at,
            peer,
            challenge: challenge.id,
            slice,
            state: challenge.step === 'prepare' ? 'ready' : 'done',
            links: 3,
          })
      } else if (command.type === 'credited' && command.peer === 'old') worked += Math.max(0, event.at - began)
    }
  }
  act({ type: 'joined', at: 0, peer: 'old', cluster: 'c', claim })
  for (let second = 1; second < 3_600; second++) {
    act({ type: 'joined', at: second * 1_000, peer: `new${second % 7}`, cluster: 'c', claim })
    if (second % 2 === 0) act({ type: 'left', at: second * 1_000 + 500, peer: `new${second % 7}` })
    while (wakeOf(state) < second * 1_000 + 900) act({ type: 'tick', at: wakeOf(state) })
  }
  assert.ok(asked.length >= 3, 'it is challenged now and then')
  assert.ok(worked <= 36_000 * 1.2, `${worked} ms of an hour`)
})

test('who answers late, twice, for a slice that it does not have, or a question of others, gains nothing', () => {
  const state = createCapacity()
  const chance = { random: () => 0.5, seed: () => new Uint8Array(32) }
  stepCapacity(state, { type: 'joined', at: 0, peer: 'a', cluster: 'c', claim: { slices: [1], flops: F } }, chance)
  const [prepare] = stepCapacity(state, { type: 'tick', at: 300 }, chance)
  assert.ok(prepare?.type === 'send')
  const say = (at: number, change: object) =>
    stepCapacity(
      state,
      { type: 'answer', at, peer: 'a', challenge: prepare.challenge.id, slice: 0, state: 'ready', links: 0, ...change },
      chance,
    )
  assert.deepEqual(say(301, { slice: 1 }), [])
  assert.deepEqual(say(301, { challenge: '1.9' }), [])
  assert.deepEqual(say(301, { peer: 'b' }), [])
  assert.equal(say(302, {}).length, 1)
  assert.deepEqual(say(303, {}), [])
  const over = stepCapacity(state, { type: 'tick', at: 60_000 }, chance)
  assert.ok(over.every((command) => command.type !== 'credited' || command.credit.flops === 0))
})
