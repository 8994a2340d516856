import { sizeOf, type Tensor } from '@pingo/wire'
import type { Model } from './model.ts'
import { tablesOf } from './tables.ts'
import { numbersOf } from './tensors.ts'
import { MADE_UP_NAME, STATE_NAME } from './ties.ts'

/** Prefix of the names of constants that training never changes, whatever they look like. */
export const FIXED_PREFIX = 'pingo.fixed/'
/** A weight as low as this is an attention mask's "never", not a weight. */
const MASK_VALUE = -1e4
/** Names that exporters give to numbers of the source code. */
const EXPORTED_CONSTANT = /^(onnx::|val_|const|scalar|_)/i
/** Producers whose files keep a lone learnt number apart from a constant by its name. */
const KEEPS_NAMES = ['pytorch', 'pingo']
/** Inputs that layers learn, and that no number of the source code comes to. */
const LEARNT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  PRelu: [1],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [1, 2],
  MatMul: [1],
}

/**
 * Whether a float initialiser is a parameter; ONNX does not say which are. `likely`: not where it is a mask (holds values below -10,000), a table
 * ({@link tablesOf}) or a lone number that an exporter made of a constant in the source. `all`: only such numbers are left out. What was marked as
 * fixed never is one.
 */
export function isParameter(model: Model, name: string, tensor: Tensor, which: 'likely' | 'all'): boolean {
  const { dtype, shape } = tensor
  if (dtype !== 'float32' || name.startsWith(FIXED_PREFIX) || sizeOf(shape) === 0) return false
  if (which === 'all') return !isLoneConstant(model, name, tensor)
  if (sizeOf(shape) === 1 && EXPORTED_CONSTANT.test(name) && !learntNames(model).has(name)) return false
  if (tablesOf(model).has(name)) return false
  if (!shape.length && (!KEEPS_NAMES.includes(model.producer) || !STATE_NAME.test(name))) return false
  const numbers = numbersOf(tensor)
  for (let i = 0; i < numbers.length; i++) if (numbers[i]! <= MASK_VALUE) return false
  return true
}

/** Whether a tensor is one number with a name that an exporter made up, and no layer learns it. */
export const isLoneConstant = (model: Model, name: string, { shape }: Pick<Tensor, 'shape'>): boolean =>
  sizeOf(shape) === 1 && MADE_UP_NAME.test(name) && !learntNames(model).has(name)

/**
 * Whether Constant nodes can hold parameters, as some tools write them. PyTorch's are what its tracer met on the way: initial states of zeros,
 * tables of angles.
 */
export const learnsConstants = ({ producer }: Model): boolean => producer !== 'pytorch'

const found = new WeakMap<Model, ReadonlySet<string>>()

/** What stands where layers have their weights: constant folding gives even a PReLU's one slope a made-up name. */
function learntNames(model: Model): ReadonlySet<string> {
  const known = found.get(model)
  if (known) return known
  const names = new Set(
    model.graph.nodes.flatMap(({ op, inputs }) => (LEARNT_INPUTS[op] ?? []).map((i) => inputs[i] ?? '')),
  )
  found.set(model, names)
  return names
}
