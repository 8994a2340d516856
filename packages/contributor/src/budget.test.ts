import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget, paces } from './budget.ts'

test('whole cores run freely, parts are shared in proportion, nothing runs in a pause', () => {
  const slice = (cores: number, isWorking = true) => ({ cores, isWorking })
  assert.deepEqual(paces([slice(1), slice(1)], 2, 0.1), [1, 1])
  assert.deepEqual(paces([slice(1), slice(1)], 1, 0), [0.5, 0.5])
  assert.deepEqual(paces([slice(1), slice(1, false)], 1, 0.1), [1, 1])
  assert.deepEqual(paces([slice(0.25)], 0.25, 0.05), [0.2])
  assert.deepEqual(paces([slice(1), slice(0.5)], 1.5, 0), [1, 0.5])
  assert.deepEqual(paces([slice(1), slice(0.5)], 0, 0), [0, 0])
})

test('the tree keeps to its share whatever the node itself takes, and makes good what a start cost', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 0.9, noNaN: true }),
      fc.double({ min: 0, max: 0.05, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (share, node, burst) => {
        const budget = new Budget()
        const seconds = 0.2
        let [own, engines] = [burst, 0]
        const used: number[] = []
        for (let i = 0; i < 600; i++) {
          const left = budget.look({ seconds, own, engines, allowed: share, isWorking: true })
          const [pace] = paces([{ cores: share, isWorking: true }], share, left)
          own = node * seconds
          engines = pace! * seconds
          used.push(own + engines)
        }
        const late = used.slice(-150).reduce((sum, one) => sum + one, 0) / (150 * seconds)
        assert.ok(Math.abs(late - share) <= 0.02, `${late} of ${share}`)
      },
    ),
    { numRuns: 200 },
  )
})

test('what was not used is not saved up', () => {
  const budget = new Budget()
  for (let i = 0; i < 1000; i++) budget.look({ seconds: 1, own: 0, engines: 0, allowed: 0.5, isWorking: true })
  assert.ok(budget.look({ seconds: 0.2, own: 0, engines: 0.1, allowed: 0.5, isWorking: true }) > -0.2)
})
