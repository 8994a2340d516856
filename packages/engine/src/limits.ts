/** Every bound that the engine sets, by name. Times in milliseconds, sizes in bytes. */

/** A child that has not loaded ONNX Runtime by then is killed. */
export const START_TIMEOUT_MS = 60_000
/** Default bound of opening a graph. */
export const LOAD_TIMEOUT_MS = 120_000
/** Default bound of one run, or of one training step. */
export const RUN_TIMEOUT_MS = 600_000
/** How long `close` waits for the child to leave before it kills it. */
export const CLOSE_TIMEOUT_MS = 2_000
/** How much of what the child prints is kept, to explain a crash. */
export const MAX_CAPTURED_BYTES = 8 << 10
/** How often the child's memory is looked at while it works, where /proc tells it, and elsewhere. */
export const MEMORY_POLL_MS = 25
export const MEMORY_POLL_SLOW_MS = 1_000

/** What a child takes before any tensor, resident: Node, ONNX Runtime and an open session. */
const RUNTIME_BYTES = 150 << 20
/** Copies of the parameters' size that it holds for a moment: the optimiser's state on its way out and in. */
const COPIES = 2
/** Resident memory for a byte of a step: workspaces of operators and holes between blocks. */
const RESIDENT_SHARE = 1.15

/**
 * The `peakBytes` that a program (@pingo/graph) may have for training to stay within an engine's `maxMemoryBytes`, when its parameters have so many
 * bytes. Within about a quarter of what is measured (`npm run bench -- memory`).
 */
export const stepBytesWithin = (maxMemoryBytes: number, parameterBytes: number): number =>
  Math.max(0, Math.floor((maxMemoryBytes - RUNTIME_BYTES - COPIES * parameterBytes) / RESIDENT_SHARE))

/** Batches that were sent and whose steps are not reported: at most this many, and no more bytes than fit, but never fewer than the minimum. */
export const MAX_BATCHES_AHEAD = 32
export const MAX_BYTES_AHEAD = 1 << 20
export const MIN_BATCHES_AHEAD = 4
/** Batches that a child has room for, however large they are: one that is stepped on, one that comes in. */
export const MIN_PLACES = 2

/** Weights go to and fro in parts of so many elements: 1 MiB, so that nobody holds a whole copy on the way. */
export const WEIGHTS_AT_ONCE = 1 << 18

/** Tensors fed to one run. */
export const MAX_FEEDS = 10_000
/** Threads that a run may use. */
export const MAX_THREADS = 256
