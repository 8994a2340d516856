import { z } from 'zod'
import { CidText, FileRefSchema } from './manifests.ts'
import { CreditSchema, HardwareSchema, OfferSchema, SliceStateSchema } from './messages.ts'
import { PauseReasonSchema } from './pause.ts'
import { METRICS, ScheduleSchema } from './training.ts'

/** JSON of the fog node's HTTP API (`docs/api.md`). Times are milliseconds since the epoch, UTC. */

export const MAX_ROUNDS_LISTED = 2_000
export const MAX_EVENT_BACKLOG = 10_000

const Count = z.int().min(0)
const Time = z.number().min(0)
const Name = z.string().min(1).max(200)

/** Private datasets that one job may have: training and test data. */
export const MAX_JOB_GRANTS = 2
/** Longest time that a job is given a key for. */
export const MAX_GRANT_MS = 30 * 24 * 3_600_000
/** The key of a private dataset (base64url), given to the job until it ends or `until`, whichever is first. */
export const JobGrantSchema = z.strictObject({
  object: CidText,
  key: z.string().regex(/^[\w-]{43}$/, 'is not a key of 32 bytes in base64url'),
  until: Time,
})
export type JobGrant = z.infer<typeof JobGrantSchema>

/** What a client submits once model and data are in the fog node: content addresses and settings. */
export const JobSubmissionSchema = z.strictObject({
  version: z.literal(1),
  name: Name,
  type: z.literal('train'),
  program: FileRefSchema,
  train: FileRefSchema,
  test: FileRefSchema.optional(),
  epochs: z.number().positive().max(100_000),
  seed: Count.max(2 ** 32 - 1).default(0),
  learningRate: z.number().positive().max(100),
  schedule: ScheduleSchema.prefault({}),
  /** Length of a round's training part, ms. */
  roundMs: z.number().min(100).max(600_000).default(4_000),
  outer: z
    .strictObject({
      learningRate: z.number().positive().max(10).default(0.7),
      momentum: z.number().min(0).max(0.999).default(0.9),
    })
    .prefault({}),
  contributors: z.strictObject({ min: z.int().min(1).default(1), max: z.int().min(1).default(10_000) }).prefault({}),
  memoryBytes: Count.default(0),
  /** The job ends as failed when it is not done by then, ms after submission. */
  deadlineMs: z.number().positive().optional(),
  webhook: z.url().max(2000).optional(),
  /** What the user wrote, for the record (the job file, without paths of the user's machine). */
  spec: z.record(z.string(), z.unknown()).optional(),
  /** Keys of `train` and `test` where they are private. Told once: no answer has them, and the fog node keeps them only while the job runs. */
  grants: z.array(JobGrantSchema).max(MAX_JOB_GRANTS).optional(),
})
export type JobSubmission = z.infer<typeof JobSubmissionSchema>
export type JobSubmissionInput = z.input<typeof JobSubmissionSchema>

export const JobStateSchema = z.enum(['queued', 'running', 'finishing', 'done', 'failed', 'stopped'])
export type JobState = z.infer<typeof JobStateSchema>
export const isFinal = (state: JobState): boolean => state === 'done' || state === 'failed' || state === 'stopped'

export const ShareSchema = z.strictObject({
  contributor: z.string(),
  name: z.string(),
  samples: Count,
  updates: Count,
  /** Time spent in training steps; told of a round's shares. */
  millis: z.number().optional(),
})
export type Share = z.infer<typeof ShareSchema>

/** Most metrics that one evaluation tells. */
export const MAX_METRICS = 20
/** Metrics of an evaluation by name: accuracy, top5, perplexity, f1, f1_macro, auc, mae, r2; see `metricsOf` of `@pingo/graph`. */
export const MetricValuesSchema = z
  .record(z.string().min(1).max(50), z.number())
  .refine((values) => Object.keys(values).length <= MAX_METRICS, `has more than ${MAX_METRICS} metrics`)
export type MetricValues = z.infer<typeof MetricValuesSchema>

/** A committed round. */
export const RoundViewSchema = z.strictObject({
  round: Count,
  at: Time,
  millis: z.number(),
  /** Included in this round / in all rounds so far. */
  samples: Count,
  samplesDone: Count,
  samplesPerSecond: z.number(),
  /** Mean training loss and metric over the round's samples. */
  loss: z.number(),
  metric: z.number(),
  /** Metric, loss and all metrics of the checkpoint on (part of) the test data, when it was evaluated. */
  testMetric: z.number().optional(),
  testLoss: z.number().optional(),
  testMetrics: MetricValuesSchema.optional(),
  learningRate: z.number(),
  checkpoint: CidText,
  shares: z.array(ShareSchema),
  /** Updates that arrived and were not included, with the reason. */
  excluded: z.array(z.strictObject({ contributor: z.string(), reason: z.string() })),
})
export type RoundView = z.infer<typeof RoundViewSchema>

export const JobResultSchema = z.strictObject({
  model: FileRefSchema,
  checkpoint: FileRefSchema,
  card: FileRefSchema,
})
export type JobResult = z.infer<typeof JobResultSchema>

const Words = z.string().min(1).max(300)
/** How a job trains, in words for people; the settings themselves are in its program and in the model card. */
export const TrainingViewSchema = z.strictObject({
  loss: Words,
  optimizer: Words,
  schedule: Words,
  /** How a batch is cut, when it is. */
  accumulation: Words.optional(),
  adapters: Words.optional(),
  /** Names of weights that stay as they are. */
  frozen: Words.optional(),
})
export type TrainingView = z.infer<typeof TrainingViewSchema>

export const JobViewSchema = z.strictObject({
  id: Name,
  name: Name,
  state: JobStateSchema,
  /** Why it waits or why it ended, a sentence. */
  reason: z.string().optional(),
  submittedAt: Time,
  startedAt: Time.optional(),
  endedAt: Time.optional(),
  program: CidText,
  train: CidText,
  test: CidText.optional(),
  metricName: z.enum(METRICS),
  lossName: z.string(),
  parameters: Count,
  batch: Count,
  epochs: z.number(),
  training: TrainingViewSchema.optional(),
  rounds: Count,
  samplesDone: Count,
  samplesTotal: Count,
  samplesPerSecond: z.number(),
  /** Samples trained in leases that are still out: done by contributors, not yet in a round. */
  samplesInFlight: Count,
  loss: z.number().optional(),
  metric: z.number().optional(),
  testMetric: z.number().optional(),
  testLoss: z.number().optional(),
  testMetrics: MetricValuesSchema.optional(),
  contributors: Count,
  etaMs: z.number().optional(),
  shares: z.array(ShareSchema),
  result: JobResultSchema.optional(),
  /** Trained on private data: its result, rounds, ledger and events are told only with the token. */
  private: z.boolean().optional(),
})
export type JobView = z.infer<typeof JobViewSchema>

export const ContributorViewSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  state: z.enum(['idle', 'fetching', 'training', 'submitting', 'paused']),
  job: z.string().optional(),
  offer: OfferSchema,
  hardware: HardwareSchema,
  rssBytes: Count,
  /** What each slice does. */
  slices: z.array(z.strictObject({ state: SliceStateSchema, job: z.string().optional() })),
  pause: z
    .strictObject({ reason: PauseReasonSchema, since: z.number().min(0), until: z.number().min(0).optional() })
    .optional(),
  samplesPerSecond: z.number(),
  samples: Count,
  joinedAt: Time,
  lastSeenAt: Time,
  /** What it has shown in this fog node's challenges; absent before the first. */
  credited: CreditSchema.optional(),
})
export type ContributorView = z.infer<typeof ContributorViewSchema>

export const NetworkViewSchema = z.strictObject({
  fog: z.strictObject({
    id: z.string(),
    version: z.string(),
    addresses: z.array(z.string()),
    startedAt: Time,
    rssBytes: Count,
    blocks: Count,
    blockBytes: Count,
  }),
  contributors: z.array(ContributorViewSchema),
  cores: z.number(),
  samplesPerSecond: z.number(),
  jobs: z.strictObject({ queued: Count, running: Count, done: Count, failed: Count }),
  samplesTotal: Count,
})
export type NetworkView = z.infer<typeof NetworkViewSchema>

export const DatasetViewSchema = z.strictObject({
  cid: CidText,
  name: Name,
  kind: z.string(),
  samples: Count,
  bytes: Count,
  addedAt: Time,
})
export type DatasetView = z.infer<typeof DatasetViewSchema>

export const QuoteRequestSchema = z.strictObject({
  flopsPerSample: z.number().positive(),
  samples: z.int().min(1),
  epochs: z.number().positive(),
  contributors: z.strictObject({ min: z.int().min(1), max: z.int().min(1) }),
  memoryBytes: Count.default(0),
})
export type QuoteRequest = z.infer<typeof QuoteRequestSchema>
export const QuoteSchema = z.strictObject({
  samples: Count,
  contributors: Count,
  samplesPerSecond: z.number(),
  /** Absent when no contributor is there to measure by. */
  etaMs: z.number().optional(),
  queuedAhead: Count,
  /** What the estimate rests on, a sentence. */
  basis: z.string(),
})
export type Quote = z.infer<typeof QuoteSchema>

/** Events of a job, over Server-Sent Events (`event:` is `type`, `id:` is `seq`, `data:` this object). */
export const JobEventSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('state'), seq: Count, at: Time, job: JobViewSchema }),
  z.strictObject({ type: z.literal('round'), seq: Count, at: Time, round: RoundViewSchema }),
  /** A few times a second, not stored: has the `seq` of the last stored event. */
  z.strictObject({ type: z.literal('progress'), seq: Count, at: Time, job: JobViewSchema }),
  z.strictObject({
    type: z.literal('log'),
    seq: Count,
    at: Time,
    level: z.enum(['info', 'warn', 'error']),
    message: z.string(),
  }),
])
export type JobEvent = z.infer<typeof JobEventSchema>

/** Why a job is where it is (`pingo job explain`). */
export const ExplanationSchema = z.strictObject({
  state: JobStateSchema,
  sentence: z.string(),
  /** What binds: each with the cheapest change that would loosen it. */
  constraints: z.array(z.strictObject({ what: z.string(), change: z.string() })),
})
export type Explanation = z.infer<typeof ExplanationSchema>

/** A line of a job's ledger: which batches of the stream were done by whom, in which committed round. */
export const LedgerEntrySchema = z.strictObject({
  round: Count,
  lease: z.string(),
  contributor: z.string(),
  from: Count,
  to: Count,
  samples: Count,
  update: CidText,
})
export type LedgerEntry = z.infer<typeof LedgerEntrySchema>
export const LedgerSchema = z.strictObject({
  job: z.string(),
  state: JobStateSchema,
  batch: Count,
  samplesTotal: Count,
  batchesTotal: Count,
  entries: z.array(LedgerEntrySchema),
})
export type Ledger = z.infer<typeof LedgerSchema>

/** `model.json`: what a trained model is, where it comes from and who made it. */
export const ModelCardSchema = z.strictObject({
  type: z.literal('pingo/model-card'),
  version: z.literal(1),
  name: z.string(),
  job: z.string(),
  fog: z.string(),
  createdAt: Time,
  files: z.strictObject({ model: FileRefSchema, checkpoint: FileRefSchema }),
  dataset: z.strictObject({
    train: CidText,
    test: CidText.optional(),
    trainSamples: Count,
    testSamples: Count.optional(),
  }),
  program: CidText,
  parameters: Count,
  loss: z.string(),
  metric: z.enum(METRICS),
  epochs: z.number(),
  rounds: Count,
  samples: Count,
  seconds: z.number(),
  samplesPerSecond: z.number(),
  train: z.strictObject({ loss: z.number(), metric: z.number() }),
  test: z
    .strictObject({
      loss: z.number(),
      metric: z.number(),
      samples: Count,
      metrics: MetricValuesSchema.optional(),
    })
    .optional(),
  contributors: z.array(ShareSchema),
  /** How the model's inputs are filled from the dataset's columns, so that `pingo predict` can read a file as training did. */
  columns: z.array(z.unknown()),
  kind: z.string(),
  inputs: z.array(z.unknown()),
  settings: z.record(z.string(), z.unknown()),
})
export type ModelCard = z.infer<typeof ModelCardSchema>

/** Written (mode 0600) by a running fog node for clients on the same machine. */
export const ConnectionSchema = z.strictObject({
  url: z.string(),
  token: z.string(),
  multiaddrs: z.array(z.string()),
  pid: z.int(),
})
export type Connection = z.infer<typeof ConnectionSchema>
