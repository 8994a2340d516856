import {
  float,
  get,
  I32_ADD,
  instantiated,
  integer,
  set,
  simd,
  store,
  TURN_BYTES,
  tee,
  turns,
  VECTOR,
  VECTOR_BYTES,
  VECTORS_AT_ONCE,
  type WasmFunction,
} from './assembler.ts'

const PAGE_BYTES = 65_536
/** Multipliers of the integer hash of `fillNoise` (@pingo/graph). */
const FIRST = 0x21f0aaad
const SECOND = 0x735a2d97
const SCALE = 2 ** -24

/** `(bytes, address, low, high)`: fills an array of a multiple of {@link TURN_BYTES} bytes, four numbers at once. */
function noiseFunction(): WasmFunction {
  const [bytes, address, low, high, end] = [0, 1, 2, 3, 4]
  const [counter, x, lows, highs, four, first, second, scale] = [5, 6, 7, 8, 9, 10, 11, 12]
  const splatInt = (value: number[], local: number) => [...value, ...simd(VECTOR.splatInts), ...set(local)]
  /** x ^ (x >>> by), of the x on the stack. */
  const shifted = (by: number) => [
    ...[...tee(x), ...get(x), ...integer(by)],
    ...[...simd(VECTOR.shiftRight), ...simd(VECTOR.xor)],
  ]
  const times = (local: number) => [...get(local), ...simd(VECTOR.multiplyInts)]
  const hashed = [...shifted(16), ...times(first), ...shifted(15), ...times(second), ...shifted(15)]
  const vector = (offset: number) => [
    ...get(address),
    ...[...get(counter), ...get(lows), ...simd(VECTOR.xor)],
    ...[...hashed, ...get(highs), ...simd(VECTOR.addInts), ...hashed],
    ...[...integer(8), ...simd(VECTOR.shiftRight), ...simd(VECTOR.fromInts), ...get(scale), ...simd(VECTOR.multiply)],
    ...store(offset),
    ...[...get(counter), ...get(four), ...simd(VECTOR.addInts), ...set(counter)],
  ]
  const places = new Uint8Array(Int32Array.of(0, 1, 2, 3).buffer)
  const code = [
    ...[...get(address), ...get(bytes), I32_ADD, ...set(end)],
    ...[...simd(VECTOR.constant), ...places, ...set(counter)],
    ...[...splatInt(get(low), lows), ...splatInt(get(high), highs), ...splatInt(integer(4), four)],
    ...[...splatInt(integer(FIRST), first), ...splatInt(integer(SECOND), second)],
    ...[...float(SCALE), ...simd(VECTOR.splat), ...set(scale)],
    ...turns(address, end, Array.from({ length: VECTORS_AT_ONCE }, (_, i) => vector(i * VECTOR_BYTES)).flat()),
  ]
  return { name: 'noise', params: 4, ints: 1, vectors: 8, code }
}

/** A step's random numbers, made anew in one place: those that `fillNoise` (@pingo/graph) makes, to the bit. */
export class NoisePlace {
  readonly view: Float32Array<ArrayBuffer>
  readonly #fill: (bytes: number, address: number, low: number, high: number) => void
  readonly #bytes: number

  constructor(elements: number) {
    this.#bytes = Math.ceil((4 * elements) / TURN_BYTES) * TURN_BYTES
    const memory = new WebAssembly.Memory({ initial: Math.ceil(this.#bytes / PAGE_BYTES) })
    this.view = new Float32Array(memory.buffer, 0, elements)
    this.#fill = instantiated([noiseFunction()], memory).noise!
  }

  /** @param seed 64 bits, as of `batchSeed` */
  fill(seed: bigint): Float32Array<ArrayBuffer> {
    this.#fill(this.#bytes, 0, Number(seed & 0xffffffffn) | 0, Number((seed >> 32n) & 0xffffffffn) | 0)
    return this.view
  }
}
