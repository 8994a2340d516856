import { z } from 'zod'
import { LossSchema, METRICS, OptimizerSchema, StatsSchema } from './training.ts'

/** Named limits of what manifests may hold. */
export const MAX_TENSORS = 20_000
export const MAX_RANK = 8
export const MAX_COLUMNS = 1_000
export const MAX_CLASSES = 100_000
export const MAX_SHARDS = 100_000
/** Random numbers of one step (1 GiB of float32). */
export const MAX_NOISE = 2 ** 28
export const MAX_MANIFEST_BYTES = 8 << 20

const Name = z.string().min(1).max(500)
export const CidText = z.string().regex(/^b[a-z2-7]{20,120}$/, 'is not a CID')
export const Shape = z
  .array(
    z
      .int()
      .min(0)
      .max(2 ** 31),
  )
  .max(MAX_RANK)
export const DTypeSchema = z.enum([
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
])
export const TensorSpecSchema = z.strictObject({ name: Name, dtype: DTypeSchema, shape: Shape })

/** A file in the network: the CID of its UnixFS root (or of its one chunk) and its length. */
export const FileRefSchema = z.strictObject({ cid: CidText, bytes: z.int().min(0) })
export type FileRef = z.infer<typeof FileRefSchema>

/**
 * A column of a dataset: one tensor a shard, shape [samples of the shard, ...shape].
 * The *logical* value that a model sees is `stored * scale + shift` as float32 (images: uint8 pixels with scale 1/255), or the
 * stored value when neither is set.
 */
export const ColumnSchema = z.strictObject({
  name: Name,
  role: z.enum(['input', 'target']),
  dtype: z.enum(['float32', 'uint8', 'int32', 'int64']),
  shape: Shape,
  scale: z.number().optional(),
  shift: z.number().optional(),
  /** For a categorical target: the class names, in the order of their ids. */
  classes: z.array(z.string().max(1000)).max(MAX_CLASSES).optional(),
  /** For tokens: the vocabulary, in the order of the ids. */
  vocabulary: z.array(z.string().max(100)).max(MAX_CLASSES).optional(),
  /**
   * For byte-level tokens (byte-pair encoding): the two tokens of each merge, joined by a space, in their order. The vocabulary is then
   * written in the byte alphabet of GPT-2; without merges each token is a character.
   */
  merges: z.array(z.string().max(201)).max(MAX_CLASSES).optional(),
  /** Names of the fields that a packed tabular column holds, in order. */
  fields: z.array(z.string().max(1000)).max(MAX_CLASSES).optional(),
  /** Categories of a packed field that was one-hot encoded or coded, by field name. */
  categories: z.record(z.string(), z.array(z.string().max(1000)).max(MAX_CLASSES)).optional(),
  /** Per element of `shape` (or one value for all), of logical values over the training split. */
  mean: z.array(z.number()).max(1_000_000).optional(),
  std: z.array(z.number()).max(1_000_000).optional(),
})
export type Column = z.infer<typeof ColumnSchema>

/** A dataset: shards are safetensors files with one tensor per column, samples already shuffled by `shuffleSeed`. */
export const DatasetManifestSchema = z.strictObject({
  type: z.literal('pingo/dataset'),
  version: z.literal(1),
  name: Name,
  kind: z.enum(['tabular', 'image', 'text', 'tensor']),
  samples: z.int().min(1),
  columns: z.array(ColumnSchema).min(1).max(MAX_COLUMNS),
  shards: z
    .array(z.strictObject({ file: FileRefSchema, samples: z.int().min(1) }))
    .min(1)
    .max(MAX_SHARDS),
  shuffleSeed: z.int().min(0),
  source: z.string().max(1000).optional(),
})
export type DatasetManifest = z.infer<typeof DatasetManifestSchema>

/**
 * Private data: all that the network sees of a dataset. Its shards and its {@link DatasetManifestSchema} (where the shards' lengths are
 * those of the plaintext) are sealed files (`sealFile` of @pingo/storage) under a key that the owner derives from `salt`.
 */
export const SealedDatasetSchema = z.strictObject({
  type: z.literal('pingo/sealed-dataset'),
  version: z.literal(1),
  salt: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength === 32, 'is not 32 bytes'),
  manifest: FileRefSchema,
  files: z.array(FileRefSchema).min(1).max(MAX_SHARDS),
})
export type SealedDataset = z.infer<typeof SealedDatasetSchema>
/** What stands under a dataset's CID: the manifest of a public one, or what is seen of a private one. */
export const StoredDatasetSchema = z.discriminatedUnion('type', [DatasetManifestSchema, SealedDatasetSchema])

/** How a batch input of a program is filled: from which column, as which element type, shape without the batch axis. */
export const BatchInputSchema = z.strictObject({
  name: Name,
  column: Name,
  dtype: z.enum(['float32', 'uint8', 'int32', 'int64']),
  shape: Shape,
})
export type BatchInput = z.infer<typeof BatchInputSchema>

/**
 * Everything a contributor needs to run training steps of a job, and nothing of the user's that is a program.
 * `step` is a plain ONNX graph:
 * - inputs: each of `parameters`, `buffers`, `state` by name; each of `inputs` and `target` by name, shape [batch, ...shape];
 *   `sample_weight` float32 [batch] (0 for the padding of a short last batch); the scalars of `stepScalars` (float32, shape []);
 *   with `noise`, an input of that name, float32 [elements], uniform in [0, 1): `fillNoise` of the batch's `batchSeed` (@pingo/graph).
 * - outputs: `next.<name>` for each parameter, buffer and state tensor; `loss` (mean over weighted samples) and `metric_sum`
 *   (sum over weighted samples of the metric, e.g. correct predictions), both float32 [].
 * `evaluate` has the inputs parameters, buffers, inputs, target, sample_weight and the outputs `loss_sum` (sum over weighted samples),
 * `metric_sum` and, where `stats` says so, `metric_stats`: a float32 vector that further metrics are computed from.
 * With an ignored class id, sums are means over the positions that count, times the samples.
 * A flat vector (theta) is the concatenation of the parameters in their order here; so for buffers.
 */
export const ProgramManifestSchema = z.strictObject({
  type: z.literal('pingo/program'),
  version: z.literal(1),
  step: FileRefSchema,
  evaluate: FileRefSchema,
  /** The inference model as the user gave it, initial weights inside. */
  model: FileRefSchema,
  /** Initial parameters and buffers, a safetensors file. */
  initial: FileRefSchema,
  batch: z.int().min(1).max(65_536),
  parameters: z.array(TensorSpecSchema).min(1).max(MAX_TENSORS),
  buffers: z.array(TensorSpecSchema).max(MAX_TENSORS),
  state: z.array(TensorSpecSchema).max(MAX_TENSORS),
  inputs: z.array(BatchInputSchema).min(1).max(MAX_COLUMNS),
  target: BatchInputSchema,
  loss: LossSchema,
  metric: z.enum(METRICS),
  /** Predictions that one sample counts for in `metric_sum` (a text sample has one per position). */
  predictionsPerSample: z.int().min(1).default(1),
  /** What the evaluate graph's `metric_stats` holds; absent: it has none. */
  stats: StatsSchema.optional(),
  optimizer: OptimizerSchema,
  /** Length of the step graph's input `noise`; absent when the step has none. */
  noise: z.strictObject({ elements: z.int().min(1).max(MAX_NOISE) }).optional(),
  flopsPerSample: z.number().min(0),
})
export type ProgramManifest = z.infer<typeof ProgramManifestSchema>
