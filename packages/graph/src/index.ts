/**
 * ONNX in, training graph out: reads and writes ONNX models, infers their shapes, differentiates them in reverse mode and emits one
 * plain ONNX graph that does a training step (forward, backward, optimiser). Knows nothing of running graphs.
 *
 * ```ts
 * const model = templates.mlp({ inputs: [4], classes: 3 })
 * const program = buildProgram(model, {
 *   loss: 'cross_entropy', optimizer: { kind: 'adamw' }, batch: 32, logical: {},
 *   inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [4] }],
 *   target: { name: 'target', column: 'target', dtype: 'int32', shape: [] },
 * })
 * // run program.step with any ONNX runtime, then:
 * const trained = writeModel(withWeights(model, weights))
 * ```
 * @module
 */
import { autoencoder } from './templates/autoencoder.ts'
import { cnn } from './templates/cnn.ts'
import { gpt } from './templates/gpt.ts'
import { lstm } from './templates/lstm.ts'
import { mlp } from './templates/mlp.ts'
import { resnet } from './templates/resnet.ts'
import { vit } from './templates/vit.ts'

export * from './check.ts'
export { type EstimateOptions, estimateTraining, type TrainingEstimate } from './estimate.ts'
export { type InferenceOptions, toInference } from './export/inference.ts'
export type { GradientOptions, Scaling } from './forward.ts'
export { type BatchGradientOptions, type BatchGradients, buildBatchGradients } from './gradients.ts'
export { type InferredType, inferShapes } from './infer-shapes.ts'
export * from './layers/index.ts'
export { hasLora, type LoraOptions, mergeLora, withLora } from './lora.ts'
export type { LossKind } from './loss.ts'
export { peakBytes } from './memory.ts'
export { mergeStats, metricsOf, statsLayout } from './metrics.ts'
export {
  type Attribute,
  type Attributes,
  type Graph,
  MAX_OPSET,
  MIN_OPSET,
  type Model,
  type Node,
  type ValueInfo,
} from './model.ts'
export { batchSeed, fillNoise } from './noise.ts'
export { allowedOperators, supportedOperators } from './operators/index.ts'
export { optimizerScalars, type Scalars, type UpdateRule, updateRules } from './optimizer.ts'
export { matches, matchesAny } from './patterns.ts'
export { buildGradients, buildProgram, type GradientProgram, type Program, type ProgramOptions } from './program.ts'
export { MAX_MODEL_BYTES, parseModel } from './proto/read.ts'
export type { ExternalData } from './proto/tensor.ts'
export { writeModel } from './proto/write.ts'
export type { AutoencoderOptions } from './templates/autoencoder.ts'
export type { CnnOptions } from './templates/cnn.ts'
export type { GptOptions } from './templates/gpt.ts'
export type { LstmOptions } from './templates/lstm.ts'
export type { MlpOptions } from './templates/mlp.ts'
export type { ResnetOptions } from './templates/resnet.ts'
export type { VitOptions } from './templates/vit.ts'
export { castTensor, numbersOf, storable } from './tensors.ts'
export { restoreScale, standardize, weightsOf, withWeights } from './weights.ts'

/** Models for people who have none: seeded initial weights, input `input`, output `output` (logits). */
export const templates = { mlp, cnn, resnet, gpt, vit, lstm, autoencoder }
