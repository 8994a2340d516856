/**
 * Runs ONNX graphs in a child process that can be killed at once, and trains in it.
 *
 * ```ts
 * await using engine = await Engine.start({ niceness: 19, maxMemoryBytes: 2 ** 30 })
 * const session = await engine.open(await readFile('model.onnx'))
 * const { output } = await session.run({ input: { dtype: 'float32', shape: [1, 784], data: pixels } })
 * ```
 *
 * A graph is screened ({@link screen}) before the child sees it. The child has an empty folder, an empty environment, one
 * thread unless told otherwise, and no way to the network of its own; it ends when its parent does.
 * @module
 */
export { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
export { Engine } from './engine.ts'
export { type FitEpoch, type FitOptions, type FitProgress, type FitResult, fit } from './fit.ts'
export type { FitData, FitTensors } from './fit-data.ts'
export { type EngineInfo, engineInfo } from './info.ts'
export * from './limits.ts'
export type { EngineLogger, EngineOptions, Isolation } from './options.ts'
export type { RuntimeName, ValueSpec } from './protocol.ts'
export {
  MAX_GRAPH_BYTES,
  MAX_GRAPH_NODES,
  MAX_INITIALIZER_BYTES,
  MAX_PEAK_BYTES,
  type Refusal,
  type ScreenLimits,
  type ScreenReport,
  screen,
} from './screen.ts'
export type { Session } from './session.ts'
export type {
  OptimizerState,
  StepProgress,
  TrainBatch,
  Trainer,
  TrainerProgram,
  Training,
  TrainRequest,
  TrainResult,
} from './trainer.ts'
