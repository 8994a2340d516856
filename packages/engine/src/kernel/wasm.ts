import type { Kernel, KernelOp } from './tail.ts'

/** The numbers of the WebAssembly binary format (W3C WebAssembly Core 2.0, section 5) that are used here. */
const I32 = 0x7f
const F32 = 0x7d
const V128 = 0x7b
const EMPTY_BLOCK = 0x40
const LOCAL_GET = 0x20
const LOCAL_SET = 0x21
const LOCAL_TEE = 0x22
const I32_CONST = 0x41
const F32_CONST = 0x43
const I32_ADD = 0x6a
const I32_LT_U = 0x49
const LOOP = 0x03
const IF = 0x04
const BRANCH_IF = 0x0d
const END = 0x0b
const SIMD = 0xfd
const V128_LOAD = 0
const V128_LOAD32_SPLAT = 9
const V128_STORE = 11
const F32X4_SPLAT = 19
const F32X4_LT = 67
const F32X4_GT = 68
const V128_AND = 78
const F32X4_EXTRACT_LANE = 31
const F32_ADD = 0x92

const SIMPLE: Record<Exclude<KernelOp, 'Sign'>, number> = {
  Abs: 224,
  Neg: 225,
  Sqrt: 227,
  Add: 228,
  Sub: 229,
  Mul: 230,
  Div: 231,
  Min: 232,
  Max: 233,
}

/** Bytes of one vector of four float32. */
export const VECTOR_BYTES = 16

/** An unsigned integer in LEB128. */
function unsigned(n: number): number[] {
  const bytes: number[] = []
  do {
    const low = n % 128
    n = Math.floor(n / 128)
    bytes.push(n > 0 ? low | 0x80 : low)
  } while (n > 0)
  return bytes
}

const simd = (code: number): number[] => [SIMD, ...unsigned(code)]
const vector = <T>(items: readonly T[], encode: (item: T) => number[]): number[] => [
  ...unsigned(items.length),
  ...items.flatMap(encode),
]
/** A small positive integer in signed LEB128, as i32.const wants it. */
const signed = (n: number): number[] => (n < 64 ? [n] : [(n % 128) | 0x80, Math.floor(n / 128)])
const name = (text: string): number[] => vector([...new TextEncoder().encode(text)], (byte) => [byte])
const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body]
const float = (value: number): number[] => [F32_CONST, ...new Uint8Array(Float32Array.of(value).buffer)]
const get = (local: number): number[] => [LOCAL_GET, ...unsigned(local)]
const set = (local: number): number[] => [LOCAL_SET, ...unsigned(local)]
/** Alignment (a power of two) and offset of a memory access. */
const access = (align: number, offset = 0): number[] => [...unsigned(align), ...unsigned(offset)]

/** What makes two kernels one function: everything but names and sizes. */
export const shapeOf = (kernel: Kernel): string =>
  JSON.stringify([
    kernel.reads.length,
    kernel.scalars.length,
    kernel.constants.map((c) => (Object.is(c, -0) ? '-0' : String(c))),
    kernel.code,
    kernel.writes.map(({ value }) => value),
  ])

function operation(op: KernelOp, args: readonly number[], local: (value: number) => number): number[] {
  const operands = args.flatMap((value) => get(local(value)))
  if (op !== 'Sign') return [...operands, ...simd(SIMPLE[op])]
  const side = (compare: number) => [
    ...operands,
    ...float(0),
    ...simd(F32X4_SPLAT),
    ...simd(compare),
    ...float(1),
    ...simd(F32X4_SPLAT),
    ...simd(V128_AND),
  ]
  return [...side(F32X4_GT), ...side(F32X4_LT), ...simd(SIMPLE.Sub)]
}

/**
 * The body of a kernel's function. Parameters, all i32: bytes of an array (a multiple of 16), address of each array read, of each array
 * written, of the scalars. Values live in one v128 local each; what does not depend on arrays is computed before the loop.
 */
function body(kernel: Kernel): number[] {
  const { reads, scalars, constants, code, writes } = kernel
  const pointers = reads.length + writes.length
  const at = pointers + 2
  const local = (value: number) => at + 1 + value
  const locals = reads.length + scalars.length + constants.length + code.length
  const varies = new Set(reads.map((_, i) => i))
  const firstResult = locals - code.length
  const before: number[] = []
  const inside: number[] = []
  const address = (pointer: number) => [...get(1 + pointer), ...get(at), I32_ADD]
  for (const i of scalars.keys())
    before.push(...get(pointers + 1), ...simd(V128_LOAD32_SPLAT), ...access(2, 4 * i), ...set(local(reads.length + i)))
  for (const [i, constant] of constants.entries())
    before.push(...float(constant), ...simd(F32X4_SPLAT), ...set(local(reads.length + scalars.length + i)))
  for (const i of reads.keys()) inside.push(...address(i), ...simd(V128_LOAD), ...access(4), ...set(local(i)))
  for (const [i, { op, args }] of code.entries()) {
    const value = firstResult + i
    if (args.some((arg) => varies.has(arg))) varies.add(value)
    const where = varies.has(value) ? inside : before
    where.push(...operation(op, args, local), ...set(local(value)))
  }
  for (const [i, { value }] of writes.entries())
    inside.push(...address(reads.length + i), ...get(local(value)), ...simd(V128_STORE), ...access(4))
  const instructions = [
    ...before,
    ...get(0),
    IF,
    EMPTY_BLOCK,
    LOOP,
    EMPTY_BLOCK,
    ...inside,
    ...get(at),
    I32_CONST,
    VECTOR_BYTES,
    I32_ADD,
    LOCAL_TEE,
    ...unsigned(at),
    ...get(0),
    I32_LT_U,
    BRANCH_IF,
    0,
    END,
    END,
    END,
  ]
  const declared = [...unsigned(2), ...unsigned(1), I32, ...unsigned(locals), V128]
  const all = [...declared, ...instructions]
  return [...unsigned(all.length), ...all]
}

/** Vectors that the check of finite values takes at once: independent sums hide the latency of an addition. */
const CHECKED_AT_ONCE = 4

/** The body of `(bytes, address) -> f32`: the sum of 0·x, which is 0 unless an element is NaN or infinite. */
function finiteBody(): number[] {
  const [bytes, address, end, first] = [0, 1, 2, 3]
  const lanes = Array.from({ length: CHECKED_AT_ONCE }, (_, i) => i)
  const zero = [...float(0), ...simd(F32X4_SPLAT)]
  const instructions = [
    ...[...get(address), ...get(bytes), I32_ADD, ...set(end)],
    ...[...get(bytes), IF, EMPTY_BLOCK, LOOP, EMPTY_BLOCK],
    ...lanes.flatMap((i) => [
      ...[...get(address), ...simd(V128_LOAD), ...access(4, i * VECTOR_BYTES), ...zero, ...simd(SIMPLE.Mul)],
      ...[...get(first + i), ...simd(SIMPLE.Add), ...set(first + i)],
    ]),
    ...[...get(address), I32_CONST, ...signed(CHECKED_AT_ONCE * VECTOR_BYTES), I32_ADD, LOCAL_TEE, address],
    ...[...get(end), I32_LT_U, BRANCH_IF, 0, END, END],
    ...lanes.flatMap((i) => [...get(first + i), ...(i ? simd(SIMPLE.Add) : [])]),
    ...set(first),
    ...lanes.flatMap((i) => [...get(first), ...simd(F32X4_EXTRACT_LANE), i, ...(i ? [F32_ADD] : [])]),
    END,
  ]
  const all = [...unsigned(2), ...unsigned(1), I32, ...unsigned(CHECKED_AT_ONCE), V128, ...instructions]
  return [...unsigned(all.length), ...all]
}

/**
 * A WebAssembly module with a function `0`, `1`, … for each kernel given, and `finite`, over the memory it imports as `m.m`. It uses the fixed-width SIMD
 * whose results the standard fixes to the bit (no relaxed operations, no fused multiply-add): the same on every machine.
 * @see https://webassembly.github.io/spec/core/binary
 */
export function kernelModule(kernels: readonly Kernel[]): Uint8Array<ArrayBuffer> {
  const numbers = (n: number) => vector(new Array<number>(n).fill(I32), (type) => [type])
  const types = [
    ...kernels.map(({ reads, writes }) => [0x60, ...numbers(reads.length + writes.length + 2), 0]),
    [0x60, ...numbers(2), 1, F32],
  ]
  const functions = types.map((_, i) => i)
  const exported = (i: number) => name(i < kernels.length ? String(i) : 'finite')
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      vector(types, (type) => type),
    ),
    ...section(2, [1, ...name('m'), ...name('m'), 0x02, 0x00, 0x00]),
    ...section(3, vector(functions, unsigned)),
    ...section(
      7,
      vector(functions, (i) => [...exported(i), 0x00, ...unsigned(i)]),
    ),
    ...section(10, [...unsigned(functions.length), ...kernels.flatMap(body), ...finiteBody()]),
  ])
}
