import type { DType, TensorSpec, TypedArray } from '@pingo/wire'
import type { Tail } from './kernel/tail.ts'

/**
 * What parent and child say to each other, over Node's IPC channel with `serialization: 'advanced'` (typed arrays are copied, which takes
 * milliseconds a megabyte); batches, which are many and large, go by a pipe of their own (batch-frame.ts), and so do weights (weight-pipe.ts).
 */

/** The child's end of the pipe of batches. */
export const BATCHES_FD = 4
/** The child's end of the pipe of weights, which go both ways. */
export const WEIGHTS_FD = 5

/** Which build of ONNX Runtime executes graphs. */
export type RuntimeName = 'onnxruntime-node' | 'onnxruntime-web'

/** A graph's input or output. A dimension that is only known when the graph runs is its symbol, '' when it has none. */
export interface ValueSpec {
  name: string
  dtype: DType
  shape: (number | string)[]
}

export interface PlainTensor {
  dtype: DType
  shape: readonly number[]
  data: TypedArray
}

/** The part of a training program that the child needs to drive its step graph. */
export interface LoopProgram {
  parameters: TensorSpec[]
  buffers: TensorSpec[]
  state: TensorSpec[]
  /** The batch inputs, target last: shapes without the batch axis. */
  feeds: TensorSpec[]
  batch: number
  /** Names of the step graph's scalar inputs, in the order of {@link BatchMessage.scalars}. */
  scalars: string[]
  /** The end of the step that runs as kernels; the graph then ends in what they read. */
  tail?: Tail
  /** Length of the step graph's input `noise`, when it has one. */
  noise?: number
}

export type Call =
  | { type: 'open'; graph: Uint8Array }
  | { type: 'openTrainer'; graph: Uint8Array; program: LoopProgram }
  | { type: 'run'; session: number; feeds: Record<string, PlainTensor>; fetches: string[] }
  | { type: 'close'; session: number }
  | { type: 'saveState'; trainer: number }
  | { type: 'loadState'; trainer: number; state: Float32Array }
  /** Runs a graph on the inputs of the trainer's last step; the answer is a {@link Spread} by output. Without a graph: of those inputs. */
  | { type: 'probe'; trainer: number; graph?: Uint8Array }

/** How the elements of a float tensor lie. */
export interface Spread {
  size: number
  nan: number
  infinite: number
  /** Greatest size of a finite element. */
  largest: number
}

export interface LeaseMessage {
  type: 'lease'
  trainer: number
  lease: number
  steps: number
  softMs: number | undefined
}

/** A part of a lease's weights; whoever takes it copies it before it returns. */
export interface WeightsMessage {
  type: 'weights'
  lease: number
  at: number
  part: Float32Array
}

export interface BatchMessage {
  type: 'batch'
  lease: number
  /** One array per {@link LoopProgram.feeds}, `samples` samples long. */
  arrays: TypedArray[]
  samples: number
  scalars: Float32Array
  /** Of the step's noise; there when the program has any. */
  seed?: bigint
}

export type ToChild =
  | (Call & { id: number })
  /** Before a lease: elements of its weights from `at` on, where weights are the parameters and then the buffers as one flat vector. */
  | { type: 'weights'; trainer: number; at: number; part: Float32Array }
  /** The same, where the part itself comes by the pipe of weights. */
  | { type: 'piped'; trainer: number; at: number; length: number }
  | LeaseMessage
  | BatchMessage
  | { type: 'stop'; lease: number }
  /** The share of the CPU that training may use from now on, 0 … 1, of this lease and those to come. */
  | { type: 'pace'; share: number }
  | { type: 'exit' }

export interface Fault {
  code: string
  message: string
  hint?: string
}

export interface OpenReply {
  session: number
  inputs: ValueSpec[]
  outputs: ValueSpec[]
}

export type FromChild =
  | { type: 'ready'; runtime: RuntimeName; version: string }
  | { type: 'reply'; id: number; value?: unknown; fault?: Fault }
  /** Steps done since the last such message, oldest first; `millis` is the time they took. */
  | { type: 'steps'; lease: number; losses: number[]; metrics: number[]; millis: number }
  /** At the end of a lease: all of its weights, in order. They come by another way than `done`, which may arrive before them. */
  | WeightsMessage
  | { type: 'done'; lease: number; steps: number; millis: number }
  /** Before the next step it waits for a while, or until the pace is changed (`parked`); or goes on. */
  | { type: 'rests'; lease: number; rest: Rest }
  /** `overwrote`: parameters and state are those after the step, not those before it. */
  | { type: 'failed'; lease: number; step: number; overwrote: boolean; fault: Fault }

export type Rest = 'none' | 'paced' | 'parked'

/** How the parent tells the child what to load; one JSON argument. */
export interface ChildSettings {
  runtime: 'auto' | 'native' | 'wasm'
  threads: number
  /** The pace to begin with, 0 … 1, default 1. */
  pace?: number
}
