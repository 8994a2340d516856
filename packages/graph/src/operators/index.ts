import type { Operator } from '../operator.ts'
import { activation } from './activation.ts'
import { convolution } from './convolution.ts'
import { creation } from './creation.ts'
import { einsum } from './einsum.ts'
import { elementwise } from './elementwise.ts'
import { indexing } from './indexing.ts'
import { logic } from './logic.ts'
import { matmul } from './matmul.ts'
import { movement } from './movement.ts'
import { normalisation } from './normalisation.ts'
import { pooling } from './pooling.ts'
import { randomness } from './random.ts'
import { recurrent } from './recurrent.ts'
import { reduction } from './reduction.ts'
import { reshape } from './reshape.ts'
import { resize } from './resize.ts'

/** Every operator PinGo knows, by name. A new family is one file and one line here. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...elementwise,
    ...logic,
    ...activation,
    ...matmul,
    ...convolution,
    ...pooling,
    ...normalisation,
    ...reshape,
    ...movement,
    ...reduction,
    ...indexing,
    ...creation,
    ...resize,
    ...randomness,
    ...recurrent,
    ...einsum,
  }),
)

/** Operators of the user's model that PinGo trains through, or passes over where no gradient is needed. */
export const supportedOperators: readonly string[] = [...operators.keys()].sort()

/** Operators that a graph of PinGo may hold: what is supported and what building emits. */
export const allowedOperators: readonly string[] = [...new Set([...supportedOperators, 'FusedMatMul'])].sort()
