/**
 * Puts a generated object into a storage network, or reads one, in a process of its own, so that its memory is the client's alone.
 * Told what to do by its parent's one message, answers with one.
 */
import { createCipheriv, createHash, type Hash } from 'node:crypto'
import { createIdentity } from '@pingo/wire'
import { AccessTokens, askAllowance, HttpNodeMap, openObject, putObject } from '../../packages/storage/src/index.ts'

export interface Work {
  do: 'put' | 'get'
  bytes: number
  seeds: string[]
  token: string
  /** Waits until so many nodes are known. */
  nodes: number
  isPublic: boolean
  /** To be read. */
  object?: { id: string; key?: string }
}

export interface Outcome {
  id: string
  key?: string
  digest: string
  code: string
  seconds: number
  /** user + system, s. */
  cpu: number
  idleMb: number
  peakMb: number
}

const PIECE_BYTES = 256 << 10
const MB = 1e6

/** Bytes that no disk or wire compresses: a key stream. */
async function* generated(bytes: number, hash: Hash): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  const zeros = Buffer.alloc(PIECE_BYTES)
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    const piece = cipher.update(zeros.subarray(0, Math.min(left, PIECE_BYTES)))
    hash.update(piece)
    yield piece
  }
}

async function run(work: Work): Promise<Outcome> {
  const owner = await createIdentity()
  const allowance = await askAllowance(
    { url: work.seeds[0]!, token: work.token },
    { owner: owner.peerId, bytes: 2 ** 40, until: Date.now() + 86_400_000 },
  )
  const nodes = new HttpNodeMap({
    seeds: work.seeds.map((url) => ({ url })),
    access: new AccessTokens(owner, () => allowance),
  })
  for (let tries = 0; nodes.live().length < work.nodes && tries < 60; tries++) {
    await nodes.refresh()
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  // what a client loads anyway is loaded before the idle state is taken
  const hash = createHash('sha256')
  await putObject(Buffer.from('warm'), { nodes, owner, isPublic: work.isPublic })
  globalThis.gc?.()
  const idleMb = process.memoryUsage.rss() / MB
  const [since, cpu] = [performance.now(), process.cpuUsage()]
  let made: Pick<Outcome, 'id' | 'key' | 'code'>
  if (work.do === 'put') {
    const put = await putObject(generated(work.bytes, hash), {
      nodes,
      owner,
      isPublic: work.isPublic,
      minNodes: work.nodes,
    })
    made = { id: put.id, key: put.key && Buffer.from(put.key).toString('hex'), code: `${put.code.k}+${put.code.m}` }
  } else {
    const { id, key } = work.object!
    const object = await openObject({
      id,
      key: key === undefined ? undefined : Buffer.from(key, 'hex'),
      bytes: work.bytes,
      from: nodes,
    })
    for await (const piece of object.read()) hash.update(piece)
    const { k, m } = object.manifest.code
    made = { id, key, code: `${k}+${m}` }
  }
  const used = process.cpuUsage(cpu)
  return {
    ...made,
    digest: hash.digest('hex'),
    seconds: (performance.now() - since) / 1_000,
    cpu: (used.user + used.system) / 1e6,
    idleMb,
    peakMb: (process.resourceUsage().maxRSS / 1_000) * 1.024,
  }
}

process.once('message', (work: Work) => {
  run(work).then(
    (outcome) => process.send!(outcome, () => process.disconnect()),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
