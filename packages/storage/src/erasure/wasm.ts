/** The numbers of the WebAssembly binary format (W3C WebAssembly Core 2.0, section 5) that are used here. */
const I32 = 0x7f
const V128 = 0x7b
const EMPTY_BLOCK = 0x40
const LOCAL_GET = 0x20
const LOCAL_SET = 0x21
const LOCAL_TEE = 0x22
const I32_LOAD = 0x28
const I32_CONST = 0x41
const I32_LT_U = 0x49
const I32_ADD = 0x6a
const LOOP = 0x03
const IF = 0x04
const BRANCH_IF = 0x0d
const END = 0x0b
const SIMD = 0xfd
const V128_LOAD = [SIMD, 0]
const V128_STORE = [SIMD, 11]
const V128_XOR = [SIMD, 81]

const VECTOR_BYTES = 16
/** Sums that are held in registers at once. */
const SUMS = 8
/** Bytes that one pass of the program works on. */
export const TILE_BYTES = SUMS * VECTOR_BYTES

/** An unsigned integer in LEB128. */
function unsigned(n: number): number[] {
  const low = n % 128
  return n < 128 ? [low] : [low | 0x80, ...unsigned(Math.floor(n / 128))]
}

const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()]
const name = (text: string): number[] => vector([...new TextEncoder().encode(text)].map((byte) => [byte]))
const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body]
const get = (local: number): number[] => [LOCAL_GET, local]
const set = (local: number): number[] => [LOCAL_SET, local]
const access = (align: number, offset: number): number[] => [align, ...unsigned(offset)]
const loop = (body: number[], again: number[]): number[] => [
  ...[LOOP, EMPTY_BLOCK, ...body],
  ...[...again, BRANCH_IF, 0, END],
]
/** Adds `n`, below 8192, to a local and leaves the sum on the stack. */
const advance = (local: number, n: number): number[] => [
  ...[...get(local), I32_CONST, ...(n < 64 ? [n] : [(n % 128) | 0x80, Math.floor(n / 128)]), I32_ADD],
  ...[LOCAL_TEE, local],
]

/**
 * `run(program, end, bytes)`: the words of a program, from address `program` to `end`, are sums: the address of a sum, the address of the
 * program's word behind its last term, the addresses of its terms, of which there is one at least. Each sum becomes the XOR of its terms,
 * over `bytes` bytes (a multiple of {@link TILE_BYTES}, above 0), tile by tile, so that what is read again is still in the nearest cache.
 */
function body(): number[] {
  const [program, end, bytes, at, word, last, target, source] = [0, 1, 2, 3, 4, 5, 6, 7]
  const lanes = Array.from({ length: SUMS }, (_, i) => i)
  const sum = (lane: number) => 8 + lane
  const load = (offset: number) => [...get(word), I32_LOAD, ...access(2, offset)]
  const term = [...load(0), ...get(at), I32_ADD, ...set(source), ...advance(word, 4), ...set(word)]
  const term0 = lanes.flatMap((i) => [
    ...[...get(source), ...V128_LOAD, ...access(4, i * VECTOR_BYTES)],
    ...set(sum(i)),
  ])
  const added = lanes.flatMap((i) => [
    ...[...get(sum(i)), ...get(source), ...V128_LOAD, ...access(4, i * VECTOR_BYTES)],
    ...[...V128_XOR, ...set(sum(i))],
  ])
  const stored = lanes.flatMap((i) => [
    ...[...get(target), ...get(sum(i)), ...V128_STORE, ...access(4, i * VECTOR_BYTES)],
  ])
  const isMore = [...get(word), ...get(last), I32_LT_U]
  const oneSum = [
    ...[...load(0), ...get(at), I32_ADD, ...set(target), ...load(4), ...set(last)],
    ...[...advance(word, 8), ...set(word), ...term, ...term0],
    ...[...isMore, IF, EMPTY_BLOCK, ...loop([...term, ...added], isMore), END],
    ...stored,
  ]
  const tile = [...get(program), ...set(word), ...loop(oneSum, [...get(word), ...get(end), I32_LT_U])]
  const instructions = [...loop(tile, [...advance(at, TILE_BYTES), ...get(bytes), I32_LT_U]), END]
  const locals = vector([
    [5, I32],
    [SUMS, V128],
  ])
  return [...unsigned(locals.length + instructions.length), ...locals, ...instructions]
}

/** The module of {@link body}, over the memory it imports as `m.m`: fixed-width SIMD, the same bits on every machine. */
export function xorModule(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector([[0x60, ...vector([[I32], [I32], [I32]]), 0]])),
    ...section(2, vector([[...name('m'), ...name('m'), 0x02, 0x00, 0x00]])),
    ...section(3, vector([[0]])),
    ...section(7, vector([[...name('run'), 0x00, 0]])),
    ...section(10, vector([body()])),
  ])
}
