import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BlockStore, blockHandler, FileStore } from '@pingo/storage'
import type { JobView, ModelCard } from '@pingo/wire'
import { fetchResult } from './result.ts'
import { jobView, serve, temporaryFolder } from './testing/gateway.ts'

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const MODEL = new Uint8Array(3_500_000).map((_, i) => i % 251)

async function holder(root: string) {
  const blocks = await BlockStore.open(join(root, 'holder'))
  const files = new FileStore(blocks)
  const model = await files.put(MODEL)
  const checkpoint = await files.put(Buffer.from('a checkpoint'))
  const ref = { cid: CID, bytes: 1 }
  const card: ModelCard = {
    type: 'pingo/model-card',
    version: 1,
    name: 'test',
    job: 'job-1',
    fog: 'fog',
    createdAt: 1,
    files: { model, checkpoint },
    dataset: { train: CID, trainSamples: 1 },
    program: ref.cid,
    parameters: 1,
    loss: 'mse',
    metric: 'mae',
    epochs: 1,
    rounds: 1,
    samples: 1,
    seconds: 1,
    samplesPerSecond: 1,
    train: { loss: 1, metric: 1 },
    contributors: [],
    columns: [],
    kind: 'tabular',
    inputs: [],
    settings: {},
  }
  const result = { model, checkpoint, card: await files.put(Buffer.from(JSON.stringify(card))) }
  const asked: string[] = []
  const withheld = new Set<string>()
  const served = new Set<string>()
  const chunks = await files.chunks(model.cid)
  /** A chunk that is withheld is refused once the others are out. */
  const othersServed = async () => {
    while (!chunks.every((cid) => withheld.has(cid) || served.has(cid)))
      await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const handle = blockHandler(blocks, { authorize: () => false })
  const server = await serve((request, response) => {
    const cid = /ipfs\/(\w+)/.exec(request.url ?? '')?.[1] ?? ''
    asked.push(cid)
    response.on('finish', () => served.add(cid))
    if (!withheld.has(cid)) handle(request, response)
    else void othersServed().then(() => response.writeHead(404).end())
  })
  const job: JobView = jobView({ state: 'done', result })
  return {
    job,
    asked,
    withheld,
    url: server.url,
    chunks,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await blocks.close()
    },
  }
}

test('the three files arrive whole, and nothing else is left', async () => {
  await using folder = await temporaryFolder()
  await using from = await holder(folder.path)
  const into = join(folder.path, 'deep', 'result')
  const progress: number[] = []
  const fetched = await fetchResult(from.job, from, into, { onProgress: ({ bytes }) => progress.push(bytes) })
  assert.deepEqual((await readdir(into)).sort(), ['checkpoint.safetensors', 'model.json', 'model.onnx'])
  assert.deepEqual(new Uint8Array(await readFile(fetched.model)), MODEL)
  assert.equal(fetched.modelCard.job, 'job-1')
  assert.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  )
})

test('broken off, nothing half-written shows, and the next time only what is missing is fetched', async () => {
  await using folder = await temporaryFolder()
  await using from = await holder(folder.path)
  const into = join(folder.path, 'result')
  const missing = from.chunks.at(-1)!
  from.withheld.add(missing)
  await assert.rejects(fetchResult(from.job, from, into), { code: 'FETCH_FAILED' })
  assert.deepEqual(
    (await readdir(into)).filter((name) => !name.startsWith('.')),
    [],
  )
  from.withheld.clear()
  from.asked.length = 0
  await fetchResult(from.job, from, into)
  assert.ok(from.asked.includes(missing))
  assert.ok(
    from.chunks.some((cid) => !from.asked.includes(cid)),
    'chunks that are here are not asked for again',
  )
})

test('a job without a result, and a folder that cannot be written, are told', async () => {
  await using folder = await temporaryFolder()
  await using from = await holder(folder.path)
  await assert.rejects(fetchResult(jobView({ state: 'failed', reason: 'no luck' }), from, folder.path), {
    code: 'JOB_NOT_DONE',
    message: 'Job job-1 is failed and has no result: no luck.',
  })
  const file = join(folder.path, 'file')
  await writeFile(file, '')
  await assert.rejects(fetchResult(from.job, from, file), { code: 'FOLDER_NOT_WRITABLE' })
  if (process.getuid?.() !== 0) {
    const locked = join(folder.path, 'locked')
    await mkdir(locked)
    await chmod(locked, 0o500)
    await assert.rejects(fetchResult(from.job, from, locked), { code: 'FOLDER_NOT_WRITABLE' })
  }
})
