import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GiveBack } from './give-back.ts'

test('memory is given back when the process has grown, and never costs more than a fiftieth of the time', () => {
  const times: number[] = []
  let [now, rss, costMs, young] = [0, 150e6, 100, 0]
  const giveBack = new GiveBack({
    rss: () => rss,
    collectYoung: () => young++,
    collect: () => {
      times.push(now / 1000)
      rss = 130e6
      return costMs
    },
  })
  const look = (isBusy: boolean, seconds: number, growth = 0) => {
    for (let i = 0; i < seconds; i++) {
      giveBack.look(isBusy, now)
      now += 1000
      rss += growth
    }
    return times.splice(0)
  }
  assert.deepEqual(look(false, 30), [3], 'after the start, once: it has not grown since')
  assert.deepEqual(look(true, 40, 1e6), [42, 54, 66], 'while there is work, by growth')
  assert.ok(
    young >= 18 && young <= 24,
    `what is young is collected at each look once it has grown by 4 MB, not before: ${young}`,
  )
  costMs = 400
  assert.deepEqual(look(true, 60, 4e6), [72, 92, 112], 'where it is dear, seldom')
  look(false, 30)
  young = 0
  assert.deepEqual(look(false, 30), [], 'not again in an idle hour')
  assert.equal(young, 0)
})
