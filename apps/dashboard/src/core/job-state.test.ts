import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobEvent, JobView } from '@pingo/wire'
import fc from 'fast-check'
import { record } from '../../test/recording.ts'
import { Stage } from '../../test/stage.ts'
import { initialJobState, type JobState, type JobStateEvent, jobReducer, MAX_LOG_LINES } from './job-state.ts'

/** A job played to its end: the stored events and the views on the way. */
function played() {
  const stage = new Stage(record(3, 12))
  const views: JobView[] = [stage.job()]
  stage.start()
  while (stage.played < stage.recording.rounds.length) {
    stage.advance()
    views.push(stage.job())
  }
  stage.finish()
  return { events: stage.events, views, final: stage.job(), rounds: stage.committed }
}

const run = (events: JobStateEvent[], from: JobState = initialJobState): JobState => events.reduce(jobReducer, from)

test('a stream from the first event leads to where the API is', () => {
  const { events, final, rounds, views } = played()
  const state = run([
    { type: 'loaded', job: views[0]!, rounds: [] },
    { type: 'events', events },
  ])
  assert.deepEqual(state.job, final)
  assert.deepEqual(state.rounds, rounds)
  assert.equal(state.phase, 'ready')
})

test('events in any cut, order of cuts and repetition lead to the same rounds, log and final state', () => {
  const { events, final, rounds, views } = played()
  const once = run([
    { type: 'loaded', job: views[0]!, rounds: [] },
    { type: 'events', events },
  ])
  const slices = fc.array(
    fc
      .tuple(fc.nat(events.length - 1), fc.nat(events.length - 1))
      .map(([a, b]) => events.slice(Math.min(a, b), Math.max(a, b) + 1)),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(slices, fc.nat(views.length - 1), (parts, loadedAt) => {
      const loaded: JobStateEvent = { type: 'loaded', job: views[loadedAt]!, rounds: rounds.slice(0, loadedAt) }
      const replayed = parts.map((part): JobStateEvent => ({ type: 'events', events: part }))
      const state = run([loaded, ...replayed, { type: 'events', events }])
      assert.deepEqual(state.rounds, once.rounds)
      assert.deepEqual(state.logs, once.logs)
      assert.deepEqual(state.job, final)
    }),
  )
})

test('an old event never takes a job back: neither its samples nor its end', () => {
  const { events, final, rounds, views } = played()
  const done = run([{ type: 'loaded', job: final, rounds }])
  assert.deepEqual(run([{ type: 'events', events: events.slice(0, 4) }], done).job, final)
  assert.deepEqual(run([{ type: 'polled', job: views[3]! }], done).job, final)
})

test('progress between rounds is shown at once', () => {
  const { views } = played()
  const job = views[4]!
  const progress: JobEvent = { type: 'progress', seq: 9, at: 1, job: { ...job, samplesInFlight: 4_000 } }
  const state = run([
    { type: 'loaded', job, rounds: [] },
    { type: 'events', events: [progress] },
  ])
  assert.equal(state.job?.samplesInFlight, 4_000)
})

test('a lost fog node leaves what is known, an unknown job does not', () => {
  const { final, rounds } = played()
  const ready = run([{ type: 'loaded', job: final, rounds }])
  assert.equal(run([{ type: 'failed', error: 'gone' }], ready).phase, 'ready')
  assert.equal(run([{ type: 'failed', error: 'gone' }]).phase, 'failed')
  assert.equal(run([{ type: 'missing' }], ready).job, undefined)
})

test('the log is bounded and keeps the latest', () => {
  const events = Array.from({ length: MAX_LOG_LINES + 50 }, (_, seq): JobEvent => {
    return { type: 'log', seq, at: seq, level: 'info', message: `line ${seq}` }
  })
  const { logs } = run([{ type: 'events', events }])
  assert.equal(logs.length, MAX_LOG_LINES)
  assert.equal(logs.at(-1)?.message, `line ${MAX_LOG_LINES + 49}`)
})
