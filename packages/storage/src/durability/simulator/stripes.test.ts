import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_CODE } from '../../placement/codes.ts'
import { durability, lossWithin, poissonInterval } from '../model.ts'
import { type StripesOptions, simulateStripes } from './stripes.ts'

const years: StripesOptions = {
  seed: 4,
  code: DEFAULT_CODE,
  stripes: 2_000,
  years: 10,
  monthlyChurn: 0.2,
  checkDays: 7,
  nodes: 800,
}

test('what is lost and what repair moves is what the model says', () => {
  for (const checkDays of [5, 7]) {
    const o = { ...years, checkDays }
    const [low, high] = poissonInterval(o.stripes * lossWithin(o.years, o))
    const { lost, repairPerMonth } = simulateStripes(o)
    assert.ok(low > 0 && lost >= low && lost <= high, `${lost} not in [${low}, ${high}]`)
    // Lost stripes are repaired no more.
    const stay = 1 - lost / o.stripes / 2
    assert.ok(Math.abs(repairPerMonth / (durability(o).repairPerMonth * stay) - 1) < 0.02, `${repairPerMonth}`)
  }
})

test('checked daily, at 5 % a month, nothing is lost', () => {
  const { lost, repairs } = simulateStripes({ ...years, monthlyChurn: 0.05, checkDays: 1 })
  assert.equal(lost, 0)
  assert.ok(repairs > 50_000)
})

test('failure domains decide what an outage of one of them costs', () => {
  const o = { ...years, monthlyChurn: 0.02, checkDays: 1, nodes: 200, domains: 8, domainFailuresPerYear: 0.5 }
  assert.equal(simulateStripes(o).lost, 0)
  assert.ok(simulateStripes({ ...o, spread: false }).lost > 0)
})

test('a seed gives the same again', () => {
  const o = { ...years, stripes: 200, years: 1 }
  assert.deepEqual(simulateStripes(o), simulateStripes(o))
  assert.notDeepEqual(simulateStripes({ ...o, seed: 5 }), simulateStripes(o))
})
