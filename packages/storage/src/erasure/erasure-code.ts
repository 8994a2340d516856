import { type Code, CodeSchema, PinGoError, validate } from '@pingo/wire'
import { type Cauchy, cauchy, ROW_BYTES } from './cauchy.ts'
import type { Matrix } from './field.ts'
import { type Kernel, type KernelSize, type Sum, scriptKernel, wasmKernel } from './kernel.ts'

/** A shard that is there; undefined: lost. */
export type Shard = Uint8Array | undefined

/**
 * An erasure code: k data shards and m parity shards, any k of which bring all back. Synchronous; arrays that are returned may be those
 * that were given, or one another: they are not to be written to.
 */
export interface ErasureCode extends Code {
  /**
   * @param data the data shards in order; those shorter than `shardBytes`, or behind the last, are padded with zeros
   * @param shardBytes where k > 1 a multiple of 64 KiB
   * @returns the m parity shards
   * @throws PinGoError SHARD_MALFORMED
   */
  encode(data: readonly Uint8Array[], shardBytes: number): Uint8Array[]
  /**
   * @param shards k + m places: data shards, which may be shorter and are padded with zeros (one that is empty is there, and all
   *   zeros), then parity shards
   * @param wanted numbers of shards, data or parity
   * @returns the wanted shards in that order, `shardBytes` long
   * @throws PinGoError SHARDS_TOO_FEW, SHARD_MALFORMED
   */
  rebuild(shards: readonly Shard[], shardBytes: number, wanted: readonly number[]): Uint8Array[]
}

/** Bytes of a packet that are in the kernel’s memory at once: 64 streams of them stay in a second-level cache. */
const SLICE_BYTES = 8 << 10

const codes = new Map<string, ErasureCode>()

/**
 * The code of k data and m parity shards: copies where k = 1, else Reed–Solomon in the form of a Cauchy matrix over bits
 * (`cauchy.ts`). Every 64 KiB of the shards are coded by themselves and agree with @ronomon/reed-solomon 6.0.0 given the same 64 KiB.
 * That native library is about as fast as this kernel in WebAssembly (0.5 to 1.5 times, by what a garbage collector does meanwhile) and
 * wants the data in one buffer, which they are not: it would make putting no faster. `npm run bench -- storage-encode` measures both.
 * @throws PinGoError MESSAGE_INVALID for k outside 1 … 24 or m outside 0 … 6
 */
export function erasureCode({ k, m }: Code): ErasureCode {
  const key = `${k}+${m}`
  const code = codes.get(key) ?? makeErasureCode({ k, m })
  codes.set(key, code)
  return code
}

/** Like {@link erasureCode}, with a kernel of choice. */
export function makeErasureCode(
  wanted: Code,
  makeKernel: (size: KernelSize) => Kernel = (size) => wasmKernel(size) ?? scriptKernel(size),
): ErasureCode {
  const { k, m } = validate(CodeSchema, wanted, 'erasure code')
  let matrixCode: MatrixCode | undefined
  const lazily = () => (matrixCode ??= new MatrixCode(k, m, cauchy(k, m), makeKernel))
  return {
    k,
    m,
    encode(data, shardBytes) {
      checkShards(k, data, k, shardBytes)
      if (m === 0) return []
      if (k === 1) return new Array<Uint8Array>(m).fill(padded(data[0] ?? new Uint8Array(), shardBytes))
      const inputs = Array.from({ length: k }, (_, i) => data[i] ?? new Uint8Array())
      return lazily().multiply(lazily().parity, inputs, shardBytes)
    },
    rebuild(shards, shardBytes, wanted) {
      checkShards(k, shards, k + m, shardBytes)
      const present = Array.from({ length: k + m }, (_, i) => i).filter((i) => shards[i] !== undefined)
      if (present.length < k)
        throw new PinGoError(
          'SHARDS_TOO_FEW',
          `${present.length} shards are left, ${k} are needed to rebuild the others.`,
        )
      const stranger = wanted.find((i) => !Number.isInteger(i) || i < 0 || i >= k + m)
      if (stranger !== undefined)
        throw new PinGoError('SHARD_MALFORMED', `There is no shard ${stranger}: there are ${k + m}, from 0.`)
      const lost = [...new Set(wanted)].filter((i) => shards[i] === undefined)
      const chosen = present.slice(0, k)
      const inputs = chosen.map((i) => shards[i]!)
      const rebuilt =
        lost.length === 0
          ? []
          : k === 1
            ? lost.map(() => padded(inputs[0]!, shardBytes))
            : lazily().multiply(lazily().decoding(chosen, lost), inputs, shardBytes)
      return wanted.map((i) => (shards[i] ? padded(shards[i], shardBytes) : rebuilt[lost.indexOf(i)]!))
    },
  }
}

class MatrixCode {
  readonly parity: Matrix
  readonly #k: number
  readonly #cauchy: Cauchy
  readonly #kernel: Kernel
  readonly #sliceBytes: number

  constructor(k: number, m: number, code: Cauchy, makeKernel: (size: KernelSize) => Kernel) {
    const { field, packetBytes, parity } = code
    this.#k = k
    this.#cauchy = code
    this.parity = parity
    this.#sliceBytes = Math.min(SLICE_BYTES, packetBytes)
    const [inputs, outputs] = [k * field.w, m * field.w]
    const maxWords = outputs * (2 + inputs)
    this.#kernel = makeKernel({ streams: inputs + outputs, streamBytes: this.#sliceBytes, maxWords })
  }

  /** The matrix that makes the shards `lost` of the k shards `chosen`. */
  decoding(chosen: readonly number[], lost: readonly number[]): Matrix {
    const k = this.#k
    const row = (shard: number) =>
      shard < k ? Array.from({ length: k }, (_, c) => Number(c === shard)) : this.parity[shard - k]!
    const { field } = this.#cauchy
    return field.product(lost.map(row), field.inverse(chosen.map(row)))
  }

  /** Multiplies k shards by the rows of a matrix, slice by slice of their packets. */
  multiply(matrix: Matrix, shards: readonly Uint8Array[], shardBytes: number): Uint8Array[] {
    const { field, packetBytes } = this.#cauchy
    const { w } = field
    const kernel = this.#kernel
    const sliceBytes = this.#sliceBytes
    const results = matrix.map(() => new Uint8Array(shardBytes))
    const inputs = shards.flatMap((shard, s) => packets(shard, s * w))
    const outputs = results.flatMap((shard, s) => packets(shard, (shards.length + s) * w))
    kernel.load(this.#sums(matrix))
    for (let row = 0; row < shardBytes; row += w * packetBytes)
      for (let at = row; at < row + packetBytes; at += sliceBytes) {
        for (const { shard, offset, stream } of inputs) fill(stream, shard, at + offset)
        kernel.run()
        for (const { shard, offset, stream } of outputs) shard.set(stream, at + offset)
      }
    return results

    function packets(shard: Uint8Array, first: number) {
      return Array.from({ length: w }, (_, b) => ({ shard, offset: b * packetBytes, stream: kernel.stream(first + b) }))
    }
  }

  #sums(matrix: Matrix): Sum[] {
    const { field } = this.#cauchy
    const { w } = field
    return matrix.flatMap((row, r) => {
      const bits = row.map((element) => field.bits(element))
      return Array.from({ length: w }, (_, b) => ({
        to: (this.#k + r) * w + b,
        of: bits.flatMap((of, column) => of[b]!.flatMap((bit, a) => (bit ? [column * w + a] : []))),
      }))
    })
  }
}

/** Copies a shard's bytes from `at` on into a stream, zeros behind its end. */
function fill(stream: Uint8Array, shard: Uint8Array, at: number): void {
  const bytes = shard.subarray(at, at + stream.byteLength)
  stream.set(bytes)
  if (bytes.byteLength < stream.byteLength) stream.fill(0, bytes.byteLength)
}

function padded(shard: Uint8Array, bytes: number): Uint8Array {
  if (shard.byteLength === bytes) return shard
  const longer = new Uint8Array(bytes)
  longer.set(shard)
  return longer
}

function checkShards(k: number, shards: readonly Shard[], max: number, shardBytes: number): void {
  if (!Number.isSafeInteger(shardBytes) || shardBytes < 0 || (k > 1 && shardBytes % ROW_BYTES !== 0))
    throw new PinGoError('SHARD_MALFORMED', `Shards of ${shardBytes} bytes cannot be coded.`, {
      hint: `Their length is a multiple of ${ROW_BYTES} bytes.`,
    })
  if (shards.length > max) throw new PinGoError('SHARD_MALFORMED', `${shards.length} shards are more than ${max}.`)
  for (const [i, shard] of shards.entries()) {
    if (shard === undefined) continue
    const isParity = i >= k
    if (shard.byteLength > shardBytes || (isParity && shard.byteLength !== shardBytes))
      throw new PinGoError('SHARD_MALFORMED', `Shard ${i} has ${shard.byteLength} bytes, not ${shardBytes}.`)
  }
}
