import {
  F32,
  F32_ADD,
  float,
  get,
  I32_ADD,
  load,
  loadSplat,
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
import type { Kernel, KernelOp } from './tail.ts'

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

/** What makes two kernels one function: everything but names and sizes. */
export const shapeOf = (kernel: Kernel): string =>
  JSON.stringify([
    kernel.reads.length,
    kernel.scalars.length,
    kernel.constants.map((c) => (Object.is(c, -0) ? '-0' : String(c))),
    kernel.code,
    kernel.writes.map(({ value }) => value),
  ])

function operation(op: KernelOp, operands: readonly number[]): number[] {
  if (op !== 'Sign') return [...operands, ...simd(SIMPLE[op])]
  const side = (compare: number) => [
    ...operands,
    ...float(0),
    ...simd(VECTOR.splat),
    ...simd(compare),
    ...float(1),
    ...simd(VECTOR.splat),
    ...simd(VECTOR.and),
  ]
  return [...side(VECTOR.greater), ...side(VECTOR.less), ...simd(SIMPLE.Sub)]
}

/** How many operands of a kernel, and of what it writes, each value is; Sign reads its operand twice. */
function usesOf({ code, writes }: Kernel, values: number): number[] {
  const uses = new Array<number>(values).fill(0)
  for (const { op, args } of code) for (const arg of args) uses[arg]! += op === 'Sign' ? 2 : 1
  for (const { value } of writes) uses[value]!++
  return uses
}

/**
 * A kernel as a function of, all i32: bytes of an array (a multiple of {@link TURN_BYTES}), address of each array read, of each array
 * written, of the scalars. What does not depend on arrays is computed before the loop. It is written for a compiler that goes over it once: what is used
 * once stays on the stack, and a turn handles several vectors in the same few locals.
 */
export function kernelFunction(kernel: Kernel, name: string): WasmFunction {
  const { reads, scalars, constants, code, writes } = kernel
  const pointers = reads.length + writes.length
  const at = pointers + 2
  const firstAddress = at + 1
  const firstVector = firstAddress + pointers
  const firstResult = reads.length + scalars.length + constants.length
  const uses = usesOf(kernel, firstResult + code.length)
  const local = (value: number) => firstVector + value
  const before: number[] = []
  for (const i of scalars.keys())
    before.push(...get(pointers + 1), ...loadSplat(4 * i), ...set(local(reads.length + i)))
  for (const [i, constant] of constants.entries())
    before.push(...float(constant), ...simd(VECTOR.splat), ...set(local(reads.length + scalars.length + i)))
  const varies = new Set(reads.keys())
  for (const [i, { op, args }] of code.entries()) {
    const value = firstResult + i
    if (args.some((arg) => varies.has(arg))) varies.add(value)
    else
      before.push(
        ...operation(
          op,
          args.flatMap((arg) => get(local(arg))),
        ),
        ...set(local(value)),
      )
  }
  const vector = (offset: number): number[] => {
    const held = new Set<number>()
    const made = (value: number): number[] => {
      if (!varies.has(value) || held.has(value)) return get(local(value))
      const { op, args } = code[value - firstResult] ?? { op: undefined, args: [] }
      const twice = op === 'Sign' && !held.has(args[0]!) ? [...made(args[0]!), ...set(local(args[0]!))] : []
      if (op === 'Sign') held.add(args[0]!)
      const instructions = op
        ? [...twice, ...operation(op, args.flatMap(made))]
        : [...get(firstAddress + value), ...load(offset)]
      if (uses[value]! < 2) return instructions
      held.add(value)
      return [...instructions, ...tee(local(value))]
    }
    // All that is written is made before any of it is: arrays are overwritten in place.
    const values = writes.flatMap(({ value }) => [...made(value), ...set(local(value))])
    const stores = writes.flatMap(({ value }, i) => [
      ...get(firstAddress + reads.length + i),
      ...get(local(value)),
      ...store(offset),
    ])
    return [...values, ...stores]
  }
  const addresses = Array.from({ length: pointers }, (_, i) => [
    ...[...get(1 + i), ...get(at), I32_ADD],
    ...set(firstAddress + i),
  ])
  const vectors = Array.from({ length: VECTORS_AT_ONCE }, (_, i) => vector(i * VECTOR_BYTES))
  return {
    name,
    params: pointers + 2,
    ints: 1 + pointers,
    vectors: firstResult + code.length,
    code: [...before, ...turns(at, 0, [...addresses.flat(), ...vectors.flat()])],
  }
}

/** `(bytes, address) -> f32`: the sum of 0·x, which is 0 unless an element is NaN or infinite. */
export function finiteFunction(name: string): WasmFunction {
  const [bytes, address, end, sum, zero] = [0, 1, 2, 3, 4]
  const zeroTimes = (i: number) => [...get(address), ...load(i * VECTOR_BYTES), ...get(zero), ...simd(SIMPLE.Mul)]
  // A sum of pairs: of its additions, one alone waits for the turn before.
  const total = (from: number, to: number): number[] => {
    const middle = (from + to) >> 1
    return to - from === 1 ? zeroTimes(from) : [...total(from, middle), ...total(middle, to), ...simd(SIMPLE.Add)]
  }
  const code = [
    ...[...get(address), ...get(bytes), I32_ADD, ...set(end)],
    ...[...float(0), ...simd(VECTOR.splat), ...set(zero)],
    ...turns(address, end, [...total(0, VECTORS_AT_ONCE), ...get(sum), ...simd(SIMPLE.Add), ...set(sum)]),
    ...[0, 1, 2, 3].flatMap((i) => [...get(sum), ...simd(VECTOR.lane), i, ...(i ? [F32_ADD] : [])]),
  ]
  return { name, params: 2, ints: 1, vectors: 2, result: F32, code }
}
