import { attentions } from './attention.ts'
import type { Generators } from './draw.ts'
import { elementwise } from './elementwise.ts'
import { indexing } from './indexing.ts'
import { linear } from './linear.ts'
import { movement } from './movement.ts'
import { normalisation } from './normalisation.ts'
import { recurrences } from './recurrent.ts'
import { windows } from './window.ts'

/**
 * How every operator of `operators` is drawn for the numeric tests. A new operator is one entry in a family's table here and one in
 * the reference interpreter's (testing/interpreter): `numeric.test.ts` names those that are missing.
 */
export const generators: Generators = {
  ...elementwise,
  ...linear,
  ...windows,
  ...normalisation,
  ...movement,
  ...indexing,
  ...recurrences,
  ...attentions,
}
