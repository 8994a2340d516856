/**
 * Writes WebAssembly modules: the numbers of the binary format that are used here, and what they are put together with.
 * @see https://webassembly.github.io/spec/core/binary
 */
export const I32 = 0x7f
export const F32 = 0x7d
export const V128 = 0x7b
const EMPTY_BLOCK = 0x40
const LOCAL_GET = 0x20
const LOCAL_SET = 0x21
const LOCAL_TEE = 0x22
const I32_CONST = 0x41
const F32_CONST = 0x43
export const I32_ADD = 0x6a
const I32_LT_U = 0x49
export const F32_ADD = 0x92
const LOOP = 0x03
const IF = 0x04
const BRANCH_IF = 0x0d
const END = 0x0b
const SIMD = 0xfd
const FUNCTION = 0x60

/** Operations on vectors of four numbers. */
export const VECTOR = {
  load: 0,
  loadSplat: 9,
  store: 11,
  constant: 12,
  splatInts: 17,
  splat: 19,
  less: 67,
  greater: 68,
  and: 78,
  xor: 81,
  lane: 31,
  shiftRight: 173,
  addInts: 174,
  multiplyInts: 181,
  multiply: 230,
  fromInts: 250,
} as const

/** Bytes of one vector of four numbers. */
export const VECTOR_BYTES = 16
/** Vectors that a turn of a loop handles, and their bytes: what arrays are padded to. */
export const VECTORS_AT_ONCE = 8
export const TURN_BYTES = VECTORS_AT_ONCE * VECTOR_BYTES

/** An unsigned integer in LEB128. */
export function unsigned(n: number): number[] {
  const bytes: number[] = []
  do {
    const low = n % 128
    n = Math.floor(n / 128)
    bytes.push(n > 0 ? low | 0x80 : low)
  } while (n > 0)
  return bytes
}

/** A 32-bit integer in signed LEB128. */
function signed(n: number): number[] {
  const low = n & 0x7f
  const rest = n >> 7
  const isLast = rest === (low & 0x40 ? -1 : 0)
  return isLast ? [low] : [low | 0x80, ...signed(rest)]
}

export const simd = (code: number): number[] => [SIMD, ...unsigned(code)]
const list = <T>(items: readonly T[], encode: (item: T) => number[]): number[] => [
  ...unsigned(items.length),
  ...items.flatMap(encode),
]
const name = (text: string): number[] => list([...new TextEncoder().encode(text)], (byte) => [byte])
const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body]
export const integer = (value: number): number[] => [I32_CONST, ...signed(value | 0)]
export const float = (value: number): number[] => [F32_CONST, ...new Uint8Array(Float32Array.of(value).buffer)]
export const get = (local: number): number[] => [LOCAL_GET, ...unsigned(local)]
export const set = (local: number): number[] => [LOCAL_SET, ...unsigned(local)]
export const tee = (local: number): number[] => [LOCAL_TEE, ...unsigned(local)]
/** Reads a vector from the address on the stack, and writes one there. */
export const load = (offset = 0): number[] => [...simd(VECTOR.load), 4, ...unsigned(offset)]
export const store = (offset = 0): number[] => [...simd(VECTOR.store), 4, ...unsigned(offset)]
/** A float32 at the address on the stack, in every lane. */
export const loadSplat = (offset = 0): number[] => [...simd(VECTOR.loadSplat), 2, ...unsigned(offset)]

/** Goes over an array a turn at a time: while the local `at`, which a turn moves on, is below `end`. Nothing for an empty one. */
export const turns = (at: number, end: number, turn: readonly number[]): number[] => [
  ...[...get(at), ...get(end), I32_LT_U, IF, EMPTY_BLOCK, LOOP, EMPTY_BLOCK, ...turn],
  ...[...get(at), ...integer(TURN_BYTES), I32_ADD, ...tee(at), ...get(end), I32_LT_U, BRANCH_IF, 0, END, END],
]

export interface WasmFunction {
  name: string
  /** Parameters, all i32. */
  params: number
  /** Locals behind them. */
  ints: number
  vectors: number
  result?: typeof F32
  code: readonly number[]
}

/**
 * A module with these functions, over the memory it imports as `m.m`. It uses the fixed-width SIMD whose results the standard fixes to
 * the bit (no relaxed operations, no fused multiply-add): the same on every machine.
 */
export function moduleOf(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const ints = (n: number) => list(new Array<number>(n).fill(I32), (type) => [type])
  const body = ({ ints, vectors, code }: WasmFunction) => {
    const all = [2, ...unsigned(ints), I32, ...unsigned(vectors), V128, ...code, END]
    return [...unsigned(all.length), ...all]
  }
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      list(functions, ({ params, result }) => [FUNCTION, ...ints(params), ...(result ? [1, result] : [0])]),
    ),
    ...section(2, [1, ...name('m'), ...name('m'), 0x02, 0x00, 0x00]),
    ...section(
      3,
      list(functions, (f) => unsigned(functions.indexOf(f))),
    ),
    ...section(
      7,
      list(functions, (f) => [...name(f.name), 0x00, ...unsigned(functions.indexOf(f))]),
    ),
    ...section(10, list(functions, body)),
  ])
}

/** The functions of a module over `memory`, by name. */
export function instantiated(
  functions: readonly WasmFunction[],
  memory: WebAssembly.Memory,
): Record<string, (...args: number[]) => number> {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(functions)), { m: { m: memory } })
  return exports as Record<string, (...args: number[]) => number>
}
