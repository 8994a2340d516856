import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RepairQueue } from './repair-queue.ts'

test('those with the fewest shards to spare are repaired first, a failure stops nobody', async () => {
  const started: string[] = []
  const queue = new RepairQueue({ parallel: 1, bytesPerSecond: 1e9, clock: () => 0, sleep: async () => undefined })
  const add = (name: string, priority: number, work?: () => void) =>
    queue.add({
      priority,
      bytes: 1,
      run: async () => {
        started.push(name)
        await Promise.resolve()
        work?.()
      },
    })
  const all = await Promise.allSettled([
    add('first', 4),
    add('calm', 4),
    add('urgent', 0),
    add('soon', 2, () => {
      throw new Error('no')
    }),
    add('calm too', 4),
  ])
  assert.deepEqual(started, ['first', 'urgent', 'soon', 'calm', 'calm too'])
  assert.deepEqual(
    all.map(({ status }) => status === 'fulfilled'),
    [true, true, true, false, true],
  )
})

test('repairs keep to their bandwidth', async () => {
  let now = 0
  const sleep = async (ms: number) => {
    now += ms
  }
  const queue = new RepairQueue({ parallel: 2, bytesPerSecond: 1_000, clock: () => now, sleep })
  const at: number[] = []
  await Promise.all([1, 2, 3].map(() => queue.add({ priority: 1, bytes: 500, run: async () => void at.push(now) })))
  assert.ok(at[2]! >= 1_000, `${at}`)
})
