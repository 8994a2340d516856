import assert from 'node:assert/strict'
import { it } from 'node:test'
import { batchSeed, buildProgram, type Model, templates } from '@pingo/graph'
import { isPinGoError, OptimizerSchema } from '@pingo/wire'
import { Engine, type TrainBatch } from './index.ts'

const BATCH = 8
const optimizer = OptimizerSchema.parse({ kind: 'adam' })

/** A network with dropout behind its first activation. */
function dropped(): Model {
  const mlp = templates.mlp({ inputs: [6], classes: 3, hidden: [16] })
  const nodes = mlp.graph.nodes.flatMap((node) => {
    if (node.op !== 'Relu') return [node]
    const drop = { name: 'drop', op: 'Dropout', domain: '', inputs: ['kept'], outputs: node.outputs, attributes: {} }
    return [{ ...node, outputs: ['kept'] }, drop]
  })
  return { ...mlp, graph: { ...mlp.graph, nodes } }
}

const program = buildProgram(dropped(), {
  loss: 'cross_entropy',
  optimizer,
  batch: BATCH,
  inputs: [{ name: 'input', column: 'x', dtype: 'float32', shape: [6] }],
  target: { name: 'target', column: 'y', dtype: 'int32', shape: [] },
})
const theta = Float32Array.from(
  program.parameters.flatMap(({ name }) => [...(program.initial.get(name)!.data as Float32Array)]),
)

function batchOf(i: number): TrainBatch {
  const input = Float32Array.from({ length: BATCH * 6 }, (_, k) => Math.sin(k * 7 + i))
  return { samples: BATCH, tensors: { input, target: Int32Array.from({ length: BATCH }, (_, k) => (k + i) % 3) } }
}

async function trained(seed: number | undefined): Promise<Float32Array> {
  await using engine = await Engine.start()
  const trainer = await engine.openTrainer({ ...program, batch: BATCH, optimizer })
  const { result } = trainer.train({
    theta,
    buffers: new Float32Array(),
    steps: 6,
    learningRate: { from: 0.01, to: 0.01 },
    batch: async (i) => ({ ...batchOf(i), ...(seed === undefined ? {} : { seed: batchSeed(seed, i) }) }),
  })
  return (await result).theta
}

it('trains with dropout to the same bits from the same seed, and to others from another', async () => {
  assert.deepEqual(program.noise, { elements: BATCH * 16 })
  const first = await trained(1)
  assert.deepEqual(await trained(1), first)
  assert.notDeepEqual(await trained(2), first)
})

it('refuses a batch without a seed', async () => {
  await assert.rejects(
    trained(undefined),
    (error) => isPinGoError(error, 'BATCH_MISMATCH') && /seed/.test(error.message),
  )
})

it('refuses a program that does not tell of its noise', async () => {
  await using engine = await Engine.start()
  const { noise: _, ...silent } = program
  await assert.rejects(engine.openTrainer({ ...silent, batch: BATCH, optimizer }), (error) =>
    isPinGoError(error, 'PROGRAM_INVALID'),
  )
})
