import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JobEventSchema, NetworkViewSchema } from '@pingo/wire'
import fc from 'fast-check'
import { record } from '../../test/recording.ts'
import { Stage } from '../../test/stage.ts'
import * as decode from './decode.ts'

const stage = new Stage(record(2))
stage.start()
stage.advance(6)

test('what the schemas of the wire allow, the page understands', () => {
  const network = NetworkViewSchema.parse(stage.network(1))
  assert.deepEqual(decode.decodeNetwork(network), network)
  assert.equal(decode.decodeJobs({ jobs: stage.jobs() }).length, 3)
  assert.equal(decode.decodeRounds({ rounds: stage.committed }).length, 6)
  assert.equal(decode.decodeDatasets({ datasets: stage.recording.datasets }).length, 3)
  assert.deepEqual(decode.decodeExplanation(stage.explanation()), stage.explanation())
  for (const event of stage.events)
    assert.deepEqual(decode.decodeEvent(JSON.stringify(JobEventSchema.parse(event))), event)
})

test('an answer of another kind is a sentence, never a crash', () => {
  const decoders = [
    decode.decodeNetwork,
    decode.decodeJob,
    decode.decodeJobs,
    decode.decodeRounds,
    decode.decodeDatasets,
    decode.decodeExplanation,
  ]
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const one of decoders) assert.throws(() => one(value), decode.UnexpectedAnswer)
      assert.equal(decode.decodeEvent(JSON.stringify(value)), undefined)
    }),
  )
})

test('metrics that are no numbers, and a training without its parts, are refused', () => {
  const job = stage.job()
  const training = { loss: 'mse', optimizer: 'SGD', schedule: 'constant' }
  const whole = { ...job, testMetrics: { auc: 0.5 }, training }
  assert.deepEqual(decode.decodeJob(whole), whole)
  for (const wrong of [{ testMetrics: { auc: '0.5' } }, { testMetrics: [1] }, { training: { loss: 'mse' } }])
    assert.throws(() => decode.decodeJob({ ...whole, ...wrong }), decode.UnexpectedAnswer)
})

test('text that is not JSON and events of a later version are passed over', () => {
  assert.equal(decode.decodeEvent('<html>'), undefined)
  assert.equal(decode.decodeEvent('{"type":"verdict","seq":1,"at":2}'), undefined)
  assert.equal(decode.decodeEvent('{"type":"round","seq":1,"at":2,"round":{}}'), undefined)
})
