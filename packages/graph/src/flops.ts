import { sizeOf } from '@pingo/wire'
import type { Operation } from './builder.ts'
import { operators } from './operators/index.ts'

/** Floating-point operations of a list of operations, multiplications and additions counted apart. */
export function flopsOf(operations: readonly Operation[]): number {
  return operations.reduce((sum, { op, inputs, attributes, outputs }) => {
    const count = operators.get(op)?.flops
    return sum + (count ? count({ op, inputs, attributes }, outputs) : sizeOf(outputs[0]?.shape ?? []))
  }, 0)
}
