/**
 * Clients of a storage network in a process of its own, to be killed at any moment: each lane puts, reads and forgets objects without
 * end, tells its parent before and after each, and that what it read was right.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createIdentity, identityFromSeed, isPinGoError } from '@pingo/wire'
import {
  AccessTokens,
  askAllowance,
  forgetObject,
  HttpNodeMap,
  openObject,
  putObject,
} from '../../packages/storage/src/index.ts'

export interface WorkerOptions {
  seeds: string[]
  token: string
  aheadMs: number
  /** Nodes that the network has. */
  nodes: number
  lanes: number
  /** Of what is put; drawn evenly by their logarithm. */
  maxBytes: number
  code?: { k: number; m: number }
  /** Objects that a lane keeps; the rest is forgotten. Without it, none is. */
  keeps?: number
  /** Names its data. */
  seed: number
  /** Names who owns them; each process is somebody else by default. */
  owner?: string
  /** What that owner has stored before. */
  stored?: Acked[]
}

/** An object that was acknowledged. */
export interface Acked {
  id: string
  key?: string
  bytes: number
  digest: string
  code: string
  isPublic: boolean
  /** When its put began, ms since epoch. */
  beganAt: number
}

export type Told =
  | { type: 'ready' }
  | { type: 'acked'; object: Acked }
  | { type: 'refused'; code: string; sentence: string }
  | { type: 'forgetting' | 'forgotten'; id: string }
  | { type: 'read' | 'unread' | 'wrong'; id: string; why?: string }
  | { type: 'checked' }
  | { type: 'stopped' }

export type Asked = { type: 'begin'; o: WorkerOptions } | { type: 'stop' } | { type: 'check'; objects: Acked[] }

const tell = (told: Told) => process.send!(told)
let isStopped = false
let nodes: HttpNodeMap

/** Bytes by their name: a key stream, which no two names share. */
function dataOf(name: string, bytes: number): Uint8Array {
  const key = createHash('sha256').update(name).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

async function begin(o: WorkerOptions): Promise<void> {
  const clock = () => Date.now() + o.aheadMs
  const owner =
    o.owner === undefined
      ? await createIdentity()
      : await identityFromSeed(createHash('sha256').update(o.owner).digest())
  const allowance = await askAllowance(
    { url: o.seeds[0]!, token: o.token },
    { owner: owner.peerId, bytes: 2 ** 40, until: clock() + 86_400_000 },
  )
  const access = new AccessTokens(owner, () => allowance, clock)
  nodes = new HttpNodeMap({ seeds: o.seeds.map((url) => ({ url })), access, clock })
  for (let tries = 0; nodes.live().length < o.nodes && tries < 100; tries++) {
    await nodes.refresh().catch(() => undefined)
    await sleep(200)
  }
  tell({ type: 'ready' })
  const lane = async (number: number) => {
    const mine = (o.stored ?? []).filter((_, n) => n % o.lanes === number)
    for (let n = 0; !isStopped; n++) {
      const name = `${o.seed} ${number} ${n}`
      const draw = createHash('sha256').update(name).digest()
      const bytes = Math.floor(o.maxBytes ** (draw.readUInt32BE(0) / 2 ** 32))
      const isPublic = draw[4]! < 64
      const data = dataOf(name, bytes)
      const beganAt = Date.now()
      try {
        const put = await putObject(data, {
          nodes,
          owner,
          code: o.code,
          isPublic,
          minNodes: o.nodes,
          waitMs: 3_000,
          clock,
        })
        const object: Acked = {
          id: put.id,
          key: put.key && Buffer.from(put.key).toString('hex'),
          bytes,
          digest: createHash('sha256').update(data).digest('hex'),
          code: `${put.code.k}+${put.code.m}`,
          isPublic,
          beganAt,
        }
        mine.push(object)
        tell({ type: 'acked', object })
      } catch (error) {
        if (!isPinGoError(error)) throw error
        tell({ type: 'refused', code: error.code, sentence: error.message })
        await sleep(200)
      }
      const some = mine[draw.readUInt32BE(8) % Math.max(1, mine.length)]
      if (some) await read(some)
      if (o.keeps === undefined || mine.length <= o.keeps) continue
      const { id } = mine.shift()!
      tell({ type: 'forgetting', id })
      await forgetObject({ id, owner, nodes, clock }).then(
        () => tell({ type: 'forgotten', id }),
        () => undefined,
      )
    }
  }
  await Promise.all(Array.from({ length: o.lanes }, (_, number) => lane(number)))
  tell({ type: 'stopped' })
}

async function read({ id, key, bytes, digest }: Acked): Promise<void> {
  const hash = createHash('sha256')
  try {
    const object = await openObject({
      id,
      key: key === undefined ? undefined : Buffer.from(key, 'hex'),
      bytes,
      from: nodes,
    })
    for await (const piece of object.read()) hash.update(piece)
  } catch (error) {
    if (!isPinGoError(error)) throw error
    tell({ type: 'unread', id, why: `${error.code}: ${error.message}` })
    return
  }
  tell({ type: hash.digest('hex') === digest ? 'read' : 'wrong', id })
}

/** Reads objects; what does not answer at once is asked again. */
async function check(objects: Acked[]): Promise<void> {
  await nodes.refresh().catch(() => undefined)
  const left = objects[Symbol.iterator]()
  const lane = async () => {
    for (const object of left) await read(object)
  }
  await Promise.all(Array.from({ length: 4 }, lane))
  tell({ type: 'checked' })
}

process.on('message', (asked: Asked) => {
  const fail = (error: unknown) => {
    console.error(error)
    process.exit(1)
  }
  if (asked.type === 'begin') begin(asked.o).catch(fail)
  if (asked.type === 'stop') isStopped = true
  if (asked.type === 'check') check(asked.objects).catch(fail)
})
