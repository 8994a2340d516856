/**
 * Uses a model: what `pingo predict` does. Apart from the rest of the SDK because it starts an engine.
 *
 * ```ts
 * import { Predictor } from '@pingo/client/predict'
 *
 * await using model = await Predictor.open('result/model.onnx')
 * for await (const { row, class: name, probability } of model.predict('flowers.csv')) console.log(row, name, probability)
 * ```
 * @module
 */
export type { GenerateOptions } from './generate.ts'
export { Predictor } from './predictor.ts'
export type { Prediction } from './scores.ts'
