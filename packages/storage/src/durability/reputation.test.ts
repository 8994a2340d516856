import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AuditOutcome,
  judge,
  newcomer,
  RETRY_MS,
  ReputationBook,
  type Standing,
  scoreOf,
  VETTED_AUDITS,
} from './reputation.ts'

const after = (outcomes: readonly AuditOutcome[], from = newcomer): Standing =>
  outcomes.reduce((standing, outcome, i) => judge(standing, outcome, i), from)
const clean = (n: number) => Array<AuditOutcome>(n).fill('passed')

test('the score after clean audits', () => {
  assert.equal(scoreOf(newcomer), 0.5)
  for (const [audits, score] of [
    [20, 0.976],
    [80, 0.994],
    [200, 0.9975],
  ] as const)
    assert.ok(Math.abs(scoreOf(after(clean(audits))) - score) < 5e-4, `${audits}`)
})

test('vetted after 80 clean audits, new again by a failure', () => {
  assert.equal(after(clean(VETTED_AUDITS - 1)).state, 'new')
  const vetted = after(clean(VETTED_AUDITS))
  assert.equal(vetted.state, 'vetted')
  assert.equal(judge(vetted, 'failed', 0).state, 'new')
  assert.equal(after(clean(VETTED_AUDITS), judge(vetted, 'failed', 0)).state, 'vetted')
})

test('one that lost its disk is ejected, one with a bad sector is not', () => {
  const vetted = after(clean(200))
  assert.equal(after(['failed', 'failed', 'failed', 'failed', 'failed'], vetted).state, 'ejected')
  assert.equal(after(['failed', ...clean(10), 'failed'], vetted).state, 'new')
  assert.equal(after([...clean(20), 'failed', ...clean(30)]).state, 'new')
})

test('one that lies every tenth time is ejected, though never twice in a row', () => {
  const outcomes = Array.from({ length: 60 }, (_, i): AuditOutcome => (i % 10 === 9 ? 'failed' : 'passed'))
  assert.equal(after(outcomes).state, 'ejected')
  assert.equal(judge(after(outcomes), 'passed', 0).state, 'ejected')
})

test('silence contains; an answer frees, the third retry without one ejects', () => {
  const vetted = after(clean(100))
  let silent = judge(vetted, 'no-answer', 0)
  assert.equal(silent.state, 'contained')
  assert.equal(judge(silent, 'no-answer', 1), silent)
  assert.equal(judge(silent, 'passed', 1).state, 'vetted')
  for (let retry = 1; retry <= 3; retry++) {
    assert.equal(silent.state, 'contained')
    silent = judge(silent, 'no-answer', retry * RETRY_MS)
  }
  assert.equal(silent.state, 'ejected')
})

test('being offline is no audit', () => {
  assert.equal(judge(newcomer, 'offline', 0), newcomer)
})

test('the book keeps what its store makes durable', () => {
  const saved = new Map<string, Standing>()
  const store = { load: () => saved, save: (peerId: string, standing: Standing) => void saved.set(peerId, standing) }
  const book = new ReputationBook(store)
  for (let i = 0; i < VETTED_AUDITS; i++) book.record('a', 'passed', i)
  book.record('b', 'no-answer', 0)
  const again = new ReputationBook(store)
  assert.ok(again.isVetted('a'))
  assert.deepEqual(again.standing('b'), book.standing('b'))
  assert.deepEqual([again.dueForRetry(RETRY_MS - 1), again.dueForRetry(RETRY_MS)], [[], ['b']])
})
