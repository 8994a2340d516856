import type { DType, Tensor } from '@pingo/wire'

/** What the reference tells apart: a float of any width is computed in double precision. */
export type Kind = 'float' | 'int' | 'bool'

/** A tensor of the reference interpreter: row-major, every element a double (integers are exact to 2^53). */
export interface Ref {
  readonly kind: Kind
  readonly shape: readonly number[]
  readonly data: Float64Array
}

export const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** 0, 1, … n-1. */
export const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

export function kindOf(dtype: DType): Kind {
  if (dtype === 'bool') return 'bool'
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16' ? 'float' : 'int'
}

export function ref(kind: Kind, shape: readonly number[], data: ArrayLike<number>): Ref {
  if (data.length !== size(shape)) throw new Error(`${data.length} elements do not fill [${shape}]`)
  return { kind, shape: [...shape], data: Float64Array.from(data) }
}

/** A stored tensor; half precision does not occur in the tests. */
export function fromTensor({ dtype, shape, data }: Tensor): Ref {
  return { kind: kindOf(dtype), shape: [...shape], data: Float64Array.from(data as Iterable<number | bigint>, Number) }
}

/** All indices of a shape in memory order; the array given is reused. */
export function eachIndex(shape: readonly number[], visit: (index: number[], flat: number) => void): void {
  const total = size(shape)
  const index = shape.map(() => 0)
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat)
    for (let d = shape.length - 1; d >= 0 && ++index[d]! === shape[d]; d--) index[d] = 0
  }
}

/** A tensor by its definition: the element at every index. */
export function build(kind: Kind, shape: readonly number[], element: (index: number[]) => number): Ref {
  const data = new Float64Array(size(shape))
  eachIndex(shape, (index, flat) => {
    data[flat] = element(index)
  })
  return { kind, shape: [...shape], data }
}

/** Position in memory of an index. */
export function offset(shape: readonly number[], index: readonly number[]): number {
  let flat = 0
  for (let d = 0; d < shape.length; d++) {
    if (!(index[d]! >= 0 && index[d]! < shape[d]!)) throw new Error(`index [${index}] is outside [${shape}]`)
    flat = flat * shape[d]! + index[d]!
  }
  return flat
}

export const at = (x: Ref, index: readonly number[]): number => x.data[offset(x.shape, index)]!

/** numpy's rule for the shape of broadcast operands. */
export function together(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length))
  return count(rank).map((i) => {
    const sizes = shapes.map((s) => s[s.length - rank + i] ?? 1).filter((n) => n !== 1)
    if (sizes.some((n) => n !== sizes[0])) throw new Error(`[${shapes.join('] [')}] do not broadcast`)
    return sizes[0] ?? 1
  })
}

/** x read at an index of a shape that it broadcasts to. */
export function spread(x: Ref, index: readonly number[]): number {
  const lead = index.length - x.shape.length
  let flat = 0
  for (let d = 0; d < x.shape.length; d++) flat = flat * x.shape[d]! + (x.shape[d] === 1 ? 0 : index[lead + d]!)
  return x.data[flat]!
}

/** Applies f to broadcast elements. */
export function zip(kind: Kind, operands: readonly Ref[], f: (...xs: number[]) => number): Ref {
  return build(kind, together(...operands.map((x) => x.shape)), (index) => f(...operands.map((x) => spread(x, index))))
}

export const map = (x: Ref, f: (x: number) => number, kind: Kind = x.kind): Ref => ({
  kind,
  shape: x.shape,
  data: x.data.map(f),
})

export const reshaped = (x: Ref, shape: readonly number[]): Ref => ref(x.kind, shape, x.data)

/** An axis counted from the front. */
export function front(axis: number, rank: number): number {
  const n = axis < 0 ? axis + rank : axis
  if (n < 0 || n >= rank) throw new Error(`axis ${axis} is outside rank ${rank}`)
  return n
}

export const list = (x: Ref | undefined): number[] | undefined => (x ? Array.from(x.data) : undefined)
