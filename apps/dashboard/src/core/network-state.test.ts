import assert from 'node:assert/strict'
import { test } from 'node:test'
import { record } from '../../test/recording.ts'
import { Stage } from '../../test/stage.ts'
import {
  initialNetworkState,
  MAX_HISTORY,
  type NetworkEvent,
  type NetworkState,
  networkReducer,
} from './network-state.ts'

function polled(startedAt: number, at = 0): NetworkEvent {
  const stage = new Stage(record(1))
  return {
    type: 'polled',
    at,
    overview: { network: stage.network(startedAt), jobs: stage.jobs(), serverNow: stage.now },
  }
}
const failed = (at: number): NetworkEvent => ({ type: 'failed', error: 'The fog node does not answer.', at })
const run = (events: NetworkEvent[], from: NetworkState = initialNetworkState) => events.reduce(networkReducer, from)

test('one failed poll is a hiccup, two are an outage that began with the first', () => {
  const once = run([polled(1), failed(10)])
  assert.equal(once.connection, 'live')
  const twice = run([failed(20)], once)
  assert.equal(twice.connection, 'lost')
  assert.equal(twice.lostSince, 10)
  assert.ok(twice.network, 'the numbers from before stay')
})

test('a fog node that comes back with another start was restarted, and the page says so once', () => {
  const back = run([polled(1), failed(10), failed(20), polled(2, 30)])
  assert.equal(back.connection, 'live')
  assert.deepEqual(back.notice, { kind: 'restarted', at: 30 })
  assert.equal(back.epoch, 1)
  assert.equal(run([{ type: 'notice-read' }], back).notice, undefined)
})

test('a restart so quick that no poll failed is noticed too', () => {
  assert.equal(run([polled(1), polled(2)]).notice?.kind, 'restarted')
})

test('a fog node that comes back with the same start was only out of reach', () => {
  const back = run([polled(1), failed(10), failed(20), polled(1, 30)])
  assert.equal(back.notice?.kind, 'recovered')
  assert.equal(back.epoch, 1)
})

test('a page that was opened during an outage reads everything anew when it ends', () => {
  const state = run([failed(1), failed(2)])
  assert.equal(state.connection, 'lost')
  assert.equal(run([polled(1)], state).epoch, 1)
})

test('a quiet connection changes neither notice nor epoch', () => {
  const state = run([polled(1), failed(5), polled(1), polled(1)])
  assert.equal(state.notice, undefined)
  assert.equal(state.epoch, 0)
})

test('the history of the speed is bounded', () => {
  const state = run(Array.from({ length: MAX_HISTORY + 30 }, () => polled(1)))
  assert.equal(state.history.length, MAX_HISTORY)
})
