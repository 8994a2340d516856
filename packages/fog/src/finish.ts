import { mergeLora, parseModel, withWeights, writeModel } from '@pingo/graph'
import type { FileStore } from '@pingo/storage'
import { type JobResult, lossKindOf, type ModelCard, writeSafetensors } from '@pingo/wire'
import { decodeBase, unflatten } from './base.ts'
import type { Evaluation } from './evaluator.ts'
import { type Job, parametersOf } from './jobs.ts'

/**
 * Writes a trained job's files: the user's own inference graph with the trained weights (adapters folded in), the weights that were trained
 * alone (of adapters the matrices A and B), and the model card.
 * Content-addressed, so doing it again after a crash gives the same model and checkpoint.
 */
export async function writeResult(o: {
  files: FileStore
  job: Job
  fog: string
  now: number
  test: Evaluation | undefined
}): Promise<JobResult> {
  const { files, job, test } = o
  const { row, program } = job
  const { manifest: train } = job.train!
  const { theta, buffers } = decodeBase(await files.readAll(row.base.cid))
  const weights = new Map([...unflatten(theta, program.parameters), ...unflatten(buffers, program.buffers)])
  const original = parseModel(await files.readAll(program.model.cid))
  const model = await files.put(writeModel(mergeLora(withWeights(original, weights))))
  const checkpoint = await files.put(
    writeSafetensors(weights, { format: 'pt', job: row.id, round: String(job.rounds) }),
  )
  const seconds = (o.now - (row.startedAt ?? row.submittedAt)) / 1000
  const card: ModelCard = {
    type: 'pingo/model-card',
    version: 1,
    name: row.submission.name,
    job: row.id,
    fog: o.fog,
    createdAt: o.now,
    files: { model, checkpoint },
    dataset: {
      train: row.submission.train.cid,
      test: row.submission.test?.cid,
      trainSamples: train.samples,
      testSamples: job.test?.manifest.samples,
    },
    program: row.submission.program.cid,
    parameters: parametersOf(program),
    loss: lossKindOf(program.loss),
    metric: program.metric,
    epochs: row.submission.epochs,
    rounds: job.rounds,
    samples: job.samplesDone,
    seconds,
    samplesPerSecond: job.samplesDone / Math.max(seconds, 0.001),
    train: { loss: job.lastRound?.loss ?? 0, metric: job.lastRound?.metric ?? 0 },
    test: test && { loss: test.loss, metric: test.metric, samples: test.samples, metrics: test.metrics },
    contributors: job.shares,
    kind: train.kind,
    columns: train.columns,
    inputs: [...program.inputs, program.target],
    settings: row.submission.spec ?? {},
  }
  return { model, checkpoint, card: await files.put(Buffer.from(`${JSON.stringify(card, null, 2)}\n`)) }
}
