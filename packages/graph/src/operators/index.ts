import { CONTRIB_DOMAIN, type Node } from '../model.ts'
import type { Operator } from '../operator.ts'
import { activation } from './activation.ts'
import { attentions } from './attention.ts'
import { contrib } from './contrib.ts'
import { convolution } from './convolution.ts'
import { creation } from './creation.ts'
import { einsum } from './einsum.ts'
import { elementwise } from './elementwise.ts'
import { indexing } from './indexing.ts'
import { local } from './local.ts'
import { logic } from './logic.ts'
import { losses } from './losses.ts'
import { matmul } from './matmul.ts'
import { movement } from './movement.ts'
import { normalisation } from './normalisation.ts'
import { pooling } from './pooling.ts'
import { randomness } from './random.ts'
import { recurrent } from './recurrent.ts'
import { reduction } from './reduction.ts'
import { reshape } from './reshape.ts'
import { resize } from './resize.ts'
import { sampling } from './sampling.ts'
import { selection } from './selection.ts'
import { trigonometry } from './trigonometry.ts'

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
    ...trigonometry,
    ...selection,
    ...sampling,
    ...local,
    ...losses,
    ...attentions,
  }),
)

/** Those of ONNX Runtime's own domain, com.microsoft. */
export const contribOperators: ReadonlyMap<string, Operator> = new Map(Object.entries(contrib))

/** What PinGo knows of a node's operator, undefined when nothing. */
export const operatorOf = ({ op, domain }: Pick<Node, 'op' | 'domain'>): Operator | undefined =>
  domain === CONTRIB_DOMAIN ? contribOperators.get(op) : operators.get(op)

/** Operators of the user's model that PinGo trains through, or passes over where no gradient is needed. */
export const supportedOperators: readonly string[] = [...operators.keys()].sort()

/** Their numbers could not be replayed: translated, they take those of the step graph's input `noise`. */
const RANDOM = ['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Bernoulli']

/** Operators that a graph that PinGo runs may hold: what is supported and what building emits, but for what is random. */
export const allowedOperators: readonly string[] = [...new Set([...supportedOperators, ...contribOperators.keys()])]
  .filter((op) => !RANDOM.includes(op))
  .sort()
