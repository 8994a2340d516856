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
  Loop: 'Export the model with its loops unrolled.',
  Scan: 'Export the model with its loops unrolled.',
  LSTM: 'Use a transformer or convolution block, or unroll the cell into MatMul, Sigmoid and Tanh.',
  GRU: 'Use a transformer or convolution block, or unroll the cell into MatMul, Sigmoid and Tanh.',
  RNN: 'Use a transformer or convolution block, or unroll the cell into MatMul and Tanh.',
  TopK: 'Use ReduceMax, or leave the selection out of the model.',
  MaxUnpool: 'Use Resize or ConvTranspose.',
  NonMaxSuppression: 'Leave the selection of boxes out of the trained model.',
  NonZero: 'Use Where with a mask.',
  Compress: 'Use Where with a mask.',
  Attention: 'Export with decomposed attention (MatMul and Softmax).',
  RotaryEmbedding: 'Export with decomposed rotary embedding (Mul, Slice, Concat).',
  QuantizeLinear: 'Train the float32 model and quantise the result.',
  DequantizeLinear: 'Train the float32 model and quantise the result.',
  ReduceProd: 'Use Exp of ReduceSum of Log.',
  Mod: 'Use Sub with Floor.',
  RandomNormalLike: 'Leave noise out of the model.',
  RandomUniformLike: 'Leave noise out of the model.',
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
  const fallback = code === 'GRAPH_SHAPE_MISMATCH' ? 'Check the model’s input shape against the data.' : undefined
  return new PinGoError(code, message, { cause: error, details: { ...place }, hint: error.hint ?? fallback })
}
