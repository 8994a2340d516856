import { PinGoError } from '@pingo/wire'
import { intsOf } from './model.ts'
import type { LowerContext, Value } from './operator.ts'
import { numbersOf } from './tensors.ts'

/** The elements of an input that must be known while the graph is built (a shape, axes, sizes), as numbers. */
export function known(value: Value, what: string): number[] {
  if (!value.data)
    throw new PinGoError('GRAPH_DYNAMIC', `its ${what} depends on the data`, {
      hint: 'Export the model with a fixed sequence length or constant sizes.',
    })
  return Array.from(numbersOf(value.data))
}

/** Integers that older opsets give as an attribute and newer ones as an input; undefined when absent. */
export function intsFrom(c: LowerContext, input: number, attribute: string): number[] | undefined {
  const value = c.inputs[input]
  return value ? known(value, attribute) : intsOf(c.attributes, attribute)
}
