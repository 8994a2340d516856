import { createCipheriv, randomBytes } from 'node:crypto'
import {
  DEFAULT_CODE,
  erasureCode,
  merkleRoot,
  newObjectKey,
  openRecord,
  RECORD_BYTES,
  type Shard,
  sealRecord,
} from '@pingo/storage'
import { sha256 } from '@pingo/wire'
import { makeErasureCode } from '../../packages/storage/src/erasure/erasure-code.ts'
import { scriptKernel } from '../../packages/storage/src/erasure/kernel.ts'
import type { Row } from '../run.ts'

export const summary =
  'CPU of a stripe of 10+6: encrypt, encode, hash, prove; and back with 6 shards lost (--rounds N); against AES-GCM and @ronomon/reed-solomon, where it is installed'

const { k, m } = DEFAULT_CODE
const STRIPE_BYTES = k * RECORD_BYTES
const BAR_MB = 150
/** In each of them every work has its turn, so that a noisy machine is noisy to all. */
const DEFAULT_ROUNDS = 8
const STRIPES_A_ROUND = 5

type Work = () => unknown

/** Megabytes of plaintext a second of CPU time of the whole process, median of the rounds. */
export default async function storageEncode(args: string[]): Promise<Row[]> {
  const rounds = Number(args[args.indexOf('--rounds') + 1 || args.length] ?? DEFAULT_ROUNDS)
  const native = await nativeEncoder()
  const works = worksOf(native)
  const rates = await measure(works, rounds)
  const rate = (name: keyof typeof works) => rates.get(name)!
  const yardstick = native
    ? 'AES-GCM of node:crypto + @ronomon/reed-solomon'
    : 'AES-GCM of node:crypto + XOR in TypeScript'
  const row = (name: string, work: keyof typeof works): Row => ({
    name: `${name} (MB/CPU-s)`,
    measured: Math.round(rate(work)),
    bar: 'printed',
    holds: true,
  })
  const judged = (name: string, work: keyof typeof works): Row => ({
    ...row(name, work),
    bar: `≥ ${BAR_MB}`,
    holds: rate(work) >= BAR_MB,
  })
  const ratio = (name: string, of: keyof typeof works, to: keyof typeof works): Row => ({
    name,
    measured: rate(of) / rate(to),
    bar: 'printed',
    holds: true,
  })
  return [
    judged('encrypt + encode 10+6', 'sealEncode'),
    row(`yardstick: ${yardstick}`, 'yardstick'),
    ratio('encrypt + encode, × the yardstick', 'sealEncode', 'yardstick'),
    judged('all of put: encrypt + encode + SHA-256 + Merkle root of all 16 shards', 'put'),
    row('encode alone', 'encode'),
    row(
      native ? 'encode alone, @ronomon/reed-solomon (data in one buffer)' : 'encode alone, XOR in TypeScript',
      'library',
    ),
    ratio('encode alone, × that', 'encode', 'library'),
    judged('rebuild 6 data shards of 10 + decrypt', 'get'),
  ]
}

function worksOf(native: Work | undefined) {
  const key = newObjectKey()
  const records = Array.from({ length: k }, () => randomBytes(RECORD_BYTES))
  const code = erasureCode(DEFAULT_CODE)
  const inScript = makeErasureCode(DEFAULT_CODE, scriptKernel)
  const seal = () => records.map((record, i) => sealRecord(key, i, i === k - 1, record))
  const sealed = seal()
  const data = sealed.map(({ ciphertext }) => ciphertext)
  const parity = code.encode(data, RECORD_BYTES)
  const left: Shard[] = [...data, ...parity].map((shard, i) => (i < m ? undefined : shard))
  const lost = Array.from({ length: m }, (_, i) => i)
  const library = native ?? (() => inScript.encode(data, RECORD_BYTES))
  return {
    encode: () => code.encode(data, RECORD_BYTES),
    library,
    sealEncode: () =>
      code.encode(
        seal().map(({ ciphertext }) => ciphertext),
        RECORD_BYTES,
      ),
    yardstick: () => {
      for (const record of records) {
        const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12))
        cipher.update(record)
        cipher.final()
      }
      return library()
    },
    put: () => {
      const ciphertexts = seal().map(({ ciphertext }) => ciphertext)
      const shards = [...ciphertexts, ...code.encode(ciphertexts, RECORD_BYTES)]
      return shards.map((shard) => [sha256(shard), merkleRoot(shard)])
    },
    get: () => {
      const rebuilt = code.rebuild(left, RECORD_BYTES, lost)
      const ciphertexts = [...rebuilt, ...data.slice(m)]
      return ciphertexts.map((ciphertext, i) => openRecord(key, i, i === k - 1, ciphertext, sealed[i]!.tag))
    },
  } satisfies Record<string, Work>
}

async function measure<Name extends string>(works: Record<Name, Work>, rounds: number): Promise<Map<Name, number>> {
  const names = Object.keys(works) as Name[]
  const seconds = new Map<Name, number[]>(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const name of names) {
      await works[name]() // compiles, warms the caches, and takes what the work before left to collect
      for (let again = 0; again < STRIPES_A_ROUND; again++) {
        const before = process.cpuUsage()
        await works[name]()
        const { user, system } = process.cpuUsage(before)
        seconds.get(name)!.push((user + system) / 1e6)
      }
    }
  return new Map(names.map((name) => [name, STRIPE_BYTES / 1e6 / median(seconds.get(name)!)]))
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

/** The library's own encoding of a stripe that lies in one buffer, as it wants it. */
async function nativeEncoder(): Promise<Work | undefined> {
  const name = '@ronomon/reed-solomon'
  const library = await import(name).then(
    ({ default: found }) => found,
    () => undefined,
  )
  if (!library) return undefined
  const context = library.create(k, m)
  const data = randomBytes(STRIPE_BYTES)
  const [sources, targets] = [2 ** k - 1, (2 ** m - 1) * 2 ** k]
  return () => {
    const parity = Buffer.allocUnsafeSlow(m * RECORD_BYTES) // of its own for each stripe, as ours
    const { promise, resolve } = Promise.withResolvers<void>()
    library.encode(context, sources, targets, data, 0, data.byteLength, parity, 0, parity.byteLength, resolve)
    return promise
  }
}
