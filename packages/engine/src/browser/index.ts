/**
 * The engine in a browser: the same sessions and trainers as in Node, on onnxruntime-web (WebAssembly SIMD) in a Web Worker.
 *
 * ```ts
 * import mjs from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url' // Vite; elsewhere, wherever the two files are served
 * import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
 * import { BrowserEngine } from '@pingo/engine/browser'
 *
 * await using engine = await BrowserEngine.start({ wasmPaths: { mjs, wasm } })
 * const trainer = await engine.openTrainer(program)
 * ```
 *
 * Works on any page: threads need cross-origin isolation (COOP and COEP headers), one thread needs nothing.
 * @module
 */
export type { EngineLogger } from '../options.ts'
export type { RuntimeName, ValueSpec } from '../protocol.ts'
export type { Session } from '../session.ts'
export type {
  StepProgress,
  TrainBatch,
  Trainer,
  TrainerProgram,
  Training,
  TrainRequest,
  TrainResult,
} from '../trainer.ts'
export { BrowserEngine, type BrowserEngineOptions, MAX_WASM_BYTES } from './engine.ts'
