import { PinGoError } from '@pingo/wire'
import type { Values } from './operator.ts'
import { shapeText } from './shape.ts'

/** Where a fault lies: the user's node, its operator and its inputs' shapes. */
export interface Place {
  node: string
  op: string
  shape: string
}

export const placeOf = (node: string, op: string, inputs: Values): Place => ({
  node,
  op,
  shape: inputs.map((v) => (v ? shapeText(v.shape) : '-')).join(' ') || '[]',
})

/** Operators that are not supported, and what to write instead. */
const ALTERNATIVES: Readonly<Record<string, string>> = {
  If: 'Export the model without branches that depend on the data.',
  Loop: 'Export the model with fixed shapes, so that the loop’s length is known, or with its loops unrolled.',
  Scan: 'Export the model with its loops unrolled.',
  NonMaxSuppression: 'Leave the selection of boxes out of the trained model.',
  NonZero: 'Use Where with a mask.',
  Compress: 'Use Where with a mask.',
  QuantizeLinear: 'Train the float32 model and quantise the result.',
  DequantizeLinear: 'Train the float32 model and quantise the result.',
  Multinomial: 'Leave sampling out of the trained model.',
  Unique: 'Use a fixed number of classes or ids.',
  DeformConv: 'Use Conv, or Conv with a learnt mask.',
  RoiAlign: 'Use Resize or AveragePool on a fixed region.',
  MaxRoiPool: 'Use Resize or AveragePool on a fixed region.',
  DFT: 'Compute spectra before the training and store them in the dataset.',
  STFT: 'Compute spectra before the training and store them in the dataset.',
  StringNormalizer: 'Turn text into ids before the training.',
  TfIdfVectorizer: 'Turn text into numbers before the training.',
  ConvInteger: 'Train the float32 model and quantise the result.',
  MatMulInteger: 'Train the float32 model and quantise the result.',
  QLinearConv: 'Train the float32 model and quantise the result.',
  QLinearMatMul: 'Train the float32 model and quantise the result.',
  DynamicQuantizeLinear: 'Train the float32 model and quantise the result.',
  Optional: 'Export the model with plain tensors.',
}

/** @param why what is not possible, without a full stop */
export function unsupported(place: Place, why: string, hint?: string): PinGoError {
  return new PinGoError('GRAPH_UNSUPPORTED', `The node '${place.node}' (${place.op} on ${place.shape}): ${why}.`, {
    hint:
      hint ??
      ALTERNATIVES[place.op] ??
      'Write this part of the model with the operators that `pingo graph check` lists.',
    details: { ...place },
  })
}

/** Adds the place to an error thrown while a node was handled. */
export function located(error: unknown, place: Place): unknown {
  if (!(error instanceof PinGoError) || error.details) return error
  const message = `The node '${place.node}' (${place.op} on ${place.shape}): ${error.message.replace(/\.$/, '')}.`
  const code = error.code === 'GRAPH_DYNAMIC' ? 'GRAPH_UNSUPPORTED' : error.code
  const fallback =
    code === 'GRAPH_SHAPE_MISMATCH' ? 'Check the model’s input shape against the data.' : ALTERNATIVES[place.op]
  return new PinGoError(code, message, { cause: error, details: { ...place }, hint: error.hint ?? fallback })
}
