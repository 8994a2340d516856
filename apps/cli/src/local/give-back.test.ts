import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GiveBack } from './give-back.ts'

test('memory is given back when the process has grown: in quiet moments, and seldom while there is work', () => {
  const times: number[] = []
  let [now, rss] = [0, 150e6]
  const giveBack = new GiveBack({
    rss: () => rss,
    collect: () => {
      times.push(now / 1000)
      rss = 130e6
    },
  })
  const look = (isBusy: boolean, seconds: number, growth = 0) => {
    for (let i = 0; i < seconds; i++) {
      giveBack.look(isBusy, now)
      now += 1000
      rss += growth
    }
  }
  look(false, 30)
  assert.deepEqual(times.splice(0), [3], 'after the start, once: it has not grown since')
  look(true, 120, 1e6)
  assert.deepEqual(times.splice(0), [63, 123])
  look(false, 60)
  assert.deepEqual(times.splice(0), [153], 'after the work')
})
