import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StorageView } from '@pingo/wire'
import { healthBars, initialStorageState, storageReducer, worstStripe } from './storage-state.ts'

const polled = (reads: StorageView['reads']) =>
  ({ type: 'polled', storage: { reads } as StorageView, serverNow: 1 }) as const

test('the hit ratio is that of the reads between two answers', () => {
  let state = storageReducer(initialStorageState, polled({ memory: 90, disk: 0, remote: 10, missing: 0 }))
  assert.deepEqual(state.history, [])
  state = storageReducer(state, polled({ memory: 91, disk: 0, remote: 11, missing: 2 }))
  assert.deepEqual(state.history, [0.25])
  const still = storageReducer(state, polled({ memory: 91, disk: 0, remote: 11, missing: 2 }))
  assert.deepEqual(still.history, [0.25], 'nothing was read')
  const restarted = storageReducer(still, polled({ memory: 1, disk: 0, remote: 0, missing: 0 }))
  assert.deepEqual(restarted.history, [0.25])
})

test('what was known stays while the node does not answer', () => {
  const state = storageReducer(initialStorageState, polled({ memory: 1, disk: 0, remote: 0, missing: 0 }))
  const failed = storageReducer(state, { type: 'failed', error: 'It is gone.' })
  assert.equal(failed.storage, state.storage)
  assert.equal(failed.error, 'It is gone.')
})

test('stripes are counted by what they lack, without gaps', () => {
  assert.deepEqual(healthBars({}), [])
  assert.deepEqual(healthBars({ 2: 3, 0: 9 }), [
    { missing: 0, stripes: 9 },
    { missing: 1, stripes: 0 },
    { missing: 2, stripes: 3 },
  ])
  const object = { code: { k: 10, m: 6 }, stripesByMissing: { 0: 9, 2: 3 } } as never
  assert.deepEqual(worstStripe(object), { left: 14, of: 16 })
})
