import assert from 'node:assert/strict'
import test from 'node:test'
import { mutantsOf } from './mutate.ts'
import { runMutants, score, sources } from './run.ts'
import { suiteOf } from './suites.ts'

const SOURCE = `import "../exits" // a > b
type Message = A | B
struct Storage {
    balance: coins = 5
}
const RENT = ton("0.04")
/// 7 words
fun f(a: int, mutate s: Storage) {
    assert (a >= 3 && true) throw EXIT_NOT_OWNER;
    s.balance -= min(a, 500);
    s.save();
    createMessage({ value: 0, bounce: BounceMode.NoBounce }).send(SEND_MODE_CARRY_ALL_BALANCE | SEND_MODE_IGNORE_ERRORS);
}
`

test('mutants change one thing each, and never comments, imports, types or declarations', () => {
  const mutants = mutantsOf('x.tolk', SOURCE)
  assert.deepEqual(
    mutants.map(({ line, before, after }) => [line, before.replace(/\s+/g, ' ').slice(0, 30), after]),
    [
      [6, '0.04', '0.02'],
      [9, 'assert (a >= 3 && true) throw ', ''],
      [9, '>=', '>'],
      [9, '3', '4'],
      [9, '&&', '||'],
      [9, 'true', 'false'],
      [10, 's.balance -= min(a, 500);', ''],
      [10, '-=', '+='],
      [10, 'min', 'max'],
      [10, '500', '250'],
      [11, 's.save();', ''],
      [12, 'BounceMode.NoBounce', 'BounceMode.Only256BitsOfBody'],
      [12, 'SEND_MODE_CARRY_ALL_BALANCE', 'SEND_MODE_REGULAR'],
      [12, '| SEND_MODE_IGNORE_ERRORS', ''],
    ],
  )
  for (const { text } of mutants) assert.notEqual(text, SOURCE)
})

test('every source has tests that answer for it', () => {
  for (const source of sources()) assert.ok(suiteOf(source).length > 0, source)
})

test('a vesting contract that forgets what it released, or pays before anything is due, is found out', async () => {
  const judged = await runMutants({
    contract: 'token/jetton-vesting',
    only: ({ before }) => before.startsWith('assert (due') || before.startsWith('storage.released += due'),
  })
  assert.deepEqual(
    judged.map(({ verdict }) => verdict),
    ['killed', 'killed'],
  )
  assert.deepEqual(score(judged), { killed: 2, counted: 2, share: 1 })
})
