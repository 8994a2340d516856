import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Engine } from '@pingo/engine'
import { buildProgram, templates } from '@pingo/graph'
import {
  cidOf,
  createIdentity,
  type Lease,
  maxUpdateBytes,
  OptimizerSchema,
  sizeOf,
  type Tensor,
  UPDATE_TYPE,
  type Update,
  UpdateSchema,
  unseal,
  writeSafetensors,
} from '@pingo/wire'
import { ContributorDisk } from './disk.ts'
import { Files } from './files.ts'
import { KeptWork } from './kept-work.ts'
import { type LeaseBench, LeaseRun } from './lease-run.ts'
import { LEAST_DISK_BYTES } from './owner/limits.ts'

const BATCH = 8
const STEPS = 2_000
const identity = await createIdentity()
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

const column = { name: 'input', column: 'x', dtype: 'float32' as const, shape: [4] }
const built = buildProgram(templates.mlp({ inputs: [4], classes: 3, hidden: [8], seed: 1 }), {
  loss: 'cross_entropy',
  optimizer: OptimizerSchema.parse({ kind: 'adam' }),
  batch: BATCH,
  inputs: [column],
  target: { name: 'target', column: 'y', dtype: 'uint8', shape: [] },
})
const program = {
  ...built,
  batch: BATCH,
  optimizer: OptimizerSchema.parse({ kind: 'adam' }),
  inputs: [column],
  target: { name: 'target', column: 'y', dtype: 'uint8' as const, shape: [] },
}

const float32 = (data: Float32Array): Tensor => ({ dtype: 'float32', shape: [data.length], data })
const parameters = program.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
const theta = Float32Array.from(
  program.parameters.flatMap(({ name }) => [...(program.initial.get(name)!.data as Float32Array)]),
)
const base = writeSafetensors([
  ['theta', float32(theta)],
  ['buffers', float32(new Float32Array(0))],
])

async function lease(): Promise<Lease> {
  const ref = { cid: (await cidOf(base)).toString(), bytes: base.byteLength }
  return {
    id: 'job.1',
    job: 'job',
    round: 1,
    fence: 1,
    program: ref,
    dataset: ref,
    base: ref,
    ranges: [[0, STEPS]],
    order: { samples: STEPS * BATCH, seed: 1, total: STEPS * BATCH },
    learningRate: { from: 0.01, to: 0.001 },
    softMs: 600_000,
    ttlMs: 900_000,
    codec: 'int8-256',
    ticket: 'ticket',
  }
}

/** Runs the lease in an engine of its own. @returns what was kept on the way, and what was handed in */
async function run(o: { softMs?: number; keepMs?: number }): Promise<{ kept: Update[]; update: Update }> {
  await using engine = await Engine.start()
  const trainer = await engine.openTrainer(program)
  const data = {
    batch: async (indices: ArrayLike<number>) => ({
      input: Float32Array.from({ length: 4 * indices.length }, (_, i) => Math.sin(indices[i >> 2]! * 7 + (i & 3))),
      target: Uint8Array.from({ length: indices.length }, (_, i) => indices[i]! % 3),
    }),
  }
  const bench = { prepare: async () => ({ program, trainer, data }) } as unknown as LeaseBench
  const open = (body: Uint8Array) => unseal(UpdateSchema, UPDATE_TYPE, body, maxUpdateBytes(parameters, 0))
  const kept: Update[] = []
  let update: Update | undefined
  const leased = { ...(await lease()), ...(o.softMs ? { softMs: o.softMs } : {}) }
  const outcome = await new LeaseRun(leased, Date.now).run({
    read: async () => base,
    bench,
    identity,
    signal: AbortSignal.timeout(120_000),
    ...(o.keepMs && { keepMs: o.keepMs, keep: async (body) => void kept.push((await open(body)).value) }),
    send: async (body) => {
      update = (await open(body)).value
      return { accepted: true }
    },
  })
  assert.equal(outcome.kind, 'submitted')
  return { kept, update: update! }
}

test('a long lease keeps what it has done so far, each time more, and ends with the very bits of one without', async () => {
  const whole = await run({})
  const parted = await run({ keepMs: 1 })
  assert.equal(whole.update.steps, STEPS)
  assert.ok(parted.kept.length >= 2, `${parted.kept.length} kept`)
  parted.kept.reduce((before, { steps, samples }) => {
    assert.ok(steps > before && samples === steps * BATCH)
    return steps
  }, 0)
  assert.equal(parted.update.steps, STEPS)
  assert.deepEqual(parted.update.delta, whole.update.delta)
  assert.ok(Math.abs(parted.update.lossSum - whole.update.lossSum) < 1e-6 * whole.update.lossSum)
})

test('what was kept outlives its process: handed in to its fog node alone, then gone; void work is dropped', async () => {
  const home = await mkdtemp(join(tmpdir(), 'pingo-kept-'))
  stops.push(() => rm(home, { recursive: true, force: true }))
  const open = async (now: number) => {
    const disk = await ContributorDisk.open(join(home, 'cache'), { quotaBytes: LEAST_DISK_BYTES, keepFreeBytes: 0 })
    return { disk, kept: await KeptWork.open(home, new Files(disk, () => []), now) }
  }
  const first = await open(0)
  const entry = { slice: 1, lease: { id: 'job.1', ticket: 't' }, fog: 'fog', deadline: 1_000 }
  await first.kept.keep(entry, Uint8Array.of(1))
  await first.kept.keep(entry, Uint8Array.of(1, 2, 3))
  assert.deepEqual(first.kept.leases(), [], 'the lease is still running')
  await first.disk.close()

  const second = await open(500)
  assert.deepEqual(second.kept.leases(), [{ lease: 'job.1', slice: 1 }])
  assert.deepEqual(second.kept.reportOf(1), { state: 'submitting', lease: 'job.1' })
  const sent: unknown[] = []
  const deliver = async (lease: { id: string; ticket: string }, body: Uint8Array, deadline: number) => {
    sent.push([lease.id, lease.ticket, [...body], deadline])
    return { accepted: true }
  }
  assert.deepEqual(await second.kept.handIn('another', deliver), [])
  assert.deepEqual(await second.kept.handIn('fog', deliver), ['job.1'])
  assert.deepEqual(sent, [['job.1', 't', [1, 2, 3], 1_000]])
  assert.equal(second.kept.reportOf(1), undefined)
  await second.kept.keep(entry, Uint8Array.of(4))
  await second.disk.close()

  const third = await open(1_000)
  assert.deepEqual(third.kept.leases(), [])
  await third.disk.close()
})
