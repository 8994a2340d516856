/**
 * Networks written as lists of layers, for people without an ONNX file; {@link sequential} makes a {@link Model} of them. Shapes in the
 * docstrings are those of one sample: the batch is symbolic and stands in front.
 * @module
 */
export {
  ACTIVATIONS,
  type Activation,
  activation,
  gelu,
  leakyRelu,
  relu,
  sigmoid,
  silu,
  softmax,
  tanh,
} from './activation.ts'
export { type AttentionOptions, attention, type TransformerBlockOptions, transformerBlock } from './attention.ts'
export {
  type DenseOptions,
  dense,
  dropout,
  type EmbeddingOptions,
  embedding,
  flatten,
  type PositionOptions,
  permute,
  positionalEmbedding,
  reshape,
  tiedHead,
} from './basic.ts'
export {
  type BranchOptions,
  block,
  branches,
  type ModelOptions,
  type ResidualOptions,
  residual,
  sequential,
} from './compose.ts'
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  convTranspose2d,
  depthwiseConv2d,
  patchEmbedding,
  separableConv2d,
  upsample,
} from './convolution.ts'
export type { Initial } from './initial.ts'
export type { Layer, Net, Signal } from './net.ts'
export { batchNorm, groupNorm, layerNorm, type NormOptions, rmsNorm } from './normalisation.ts'
export * from './pooling.ts'
export * from './recurrent.ts'
