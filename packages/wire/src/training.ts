import { z } from 'zod'

/** How a model is trained: its loss, its optimiser, its learning rate's schedule, and what evaluating adds up. */

export const MAX_GROUPS = 50
export const MAX_PATTERNS = 200
export const MAX_PATTERN_LENGTH = 300
export const MAX_MILESTONES = 100
export const MAX_POSITIVE_WEIGHTS = 10_000
export const MAX_ACCUMULATE = 256
export const MAX_LORA_RANK = 1024

/** Names of weights: `*` stands for any characters, `?` for one. */
export const PatternsSchema = z.array(z.string().min(1).max(MAX_PATTERN_LENGTH)).min(1).max(MAX_PATTERNS)

export const LOSS_KINDS = ['cross_entropy', 'bce', 'mse', 'l1', 'huber', 'smooth_l1', 'kl', 'cosine', 'output'] as const
export type LossKind = (typeof LOSS_KINDS)[number]

/**
 * What is minimised: a name, or a name with its settings.
 * - `cross_entropy`: class ids, or (float targets of the output's size) probabilities. `ignoreIndex` is the id that counts nothing:
 *   the mean is over the other positions of the whole batch. `smoothing` moves that share of the target to all classes alike.
 * - `bce`: logits against 0…1. `positiveWeight` multiplies the loss of positives: one number, or one for each of a sample's outputs.
 * - `mse`, `l1`; `huber` (quadratic below `delta`); `smooth_l1` (huber divided by its `beta`).
 * - `kl`: target probabilities against logits or log-probabilities, summed over the classes, mean over the batch.
 * - `cosine`: 1 - cosine similarity along the last axis.
 * - `output`: the model's output is the loss, one for a sample or one for the batch.
 */
export const LossSchema = z.union([
  z.enum(LOSS_KINDS),
  z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('cross_entropy'),
      ignoreIndex: z
        .int()
        .min(-(2 ** 31))
        .max(2 ** 31 - 1)
        .optional(),
      smoothing: z.number().min(0).lt(1).optional(),
    }),
    z.strictObject({
      kind: z.literal('bce'),
      positiveWeight: z
        .union([
          z.number().positive().max(1e6),
          z.array(z.number().positive().max(1e6)).min(1).max(MAX_POSITIVE_WEIGHTS),
        ])
        .optional(),
    }),
    z.strictObject({ kind: z.literal('huber'), delta: z.number().positive().max(1e6).optional() }),
    z.strictObject({ kind: z.literal('smooth_l1'), beta: z.number().positive().max(1e6).optional() }),
    z.strictObject({ kind: z.literal('mse') }),
    z.strictObject({ kind: z.literal('l1') }),
    z.strictObject({ kind: z.literal('kl') }),
    z.strictObject({ kind: z.literal('cosine') }),
    z.strictObject({ kind: z.literal('output') }),
  ]),
])
export type LossInput = z.infer<typeof LossSchema>
/** A loss with its settings. */
export type LossSettings = Exclude<LossInput, string>

/** The name of a loss, whichever way it is written. */
export const lossKindOf = (loss: LossInput): LossKind => (typeof loss === 'string' ? loss : loss.kind)

/** What a program counts as its first metric: shares of correct predictions, absolute errors, or the loss itself. */
export const METRICS = ['accuracy', 'mae', 'loss'] as const
export type Metric = (typeof METRICS)[number]

const Count = z.int().min(1)
/** What the vector `metric_stats` of an evaluate graph holds; `statsLayout` of `@pingo/graph` says where. */
export const StatsSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('classes'),
    classes: Count,
    topK: Count.optional(),
    /** Counts of each class are kept. */
    perClass: z.boolean(),
    /** Bins of the scores of the second of two classes. */
    bins: Count.optional(),
    /** Whether the first sum is a cross-entropy that perplexity may be taken of. */
    perplexity: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('binary'), bins: Count }),
  z.strictObject({ kind: z.literal('numbers'), columns: Count.optional() }),
])
export type Stats = z.infer<typeof StatsSchema>

const Decay = z.number().min(0).max(1)
const Beta = z.number().min(0).max(0.99999)

/** Parameters that are treated otherwise than the rest. Of several groups that match a name, the first counts. */
export const GroupSchema = z.strictObject({
  match: PatternsSchema,
  /** Multiplies the learning rate. */
  rate: z.number().min(0).max(1000).optional(),
  /** Takes the place of the optimiser's, also for vectors, which are not decayed otherwise. */
  weightDecay: Decay.optional(),
  /** Stays as it is. */
  freeze: z.boolean().optional(),
  /** muon: stepped by AdamW all the same. */
  adamw: z.boolean().optional(),
})
export type Group = z.infer<typeof GroupSchema>

const common = {
  weightDecay: Decay.default(0),
  /** Greatest norm of all gradients together. */
  clip: z.number().positive().optional(),
  /** Greatest size of a gradient's element; done before `clip`. */
  clipValue: z.number().positive().optional(),
  groups: z.array(GroupSchema).max(MAX_GROUPS).optional(),
}

export const OptimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sgd'),
    momentum: z.number().min(0).max(0.9999).default(0),
    nesterov: z.boolean().default(false),
    ...common,
  }),
  z.strictObject({
    kind: z.enum(['adam', 'adamw']),
    beta1: Beta.max(0.9999).default(0.9),
    beta2: Beta.default(0.99),
    epsilon: z.number().positive().default(1e-8),
    ...common,
  }),
  z.strictObject({
    kind: z.literal('lion'),
    beta1: Beta.default(0.9),
    beta2: Beta.default(0.99),
    ...common,
  }),
  z.strictObject({
    kind: z.literal('adafactor'),
    /** The second moment's rate at step t is 1 - t^-decayExponent. */
    decayExponent: z.number().positive().max(1).default(0.8),
    /** Added to squared gradients. */
    epsilon: z.number().positive().default(1e-30),
    /** Greatest root mean square of a tensor's update. */
    threshold: z.number().positive().default(1),
    ...common,
  }),
  z.strictObject({
    kind: z.literal('muon'),
    momentum: z.number().min(0).max(0.9999).default(0.95),
    nesterov: z.boolean().default(true),
    /** `rms`: updates as large as AdamW's, so that its learning rates serve. `original`: Jordan's sqrt(max(1, rows / columns)). */
    scale: z.enum(['rms', 'original']).default('rms'),
    /** Of the AdamW that steps vectors, embeddings and what groups leave to it. */
    beta1: Beta.max(0.9999).default(0.9),
    beta2: Beta.default(0.99),
    epsilon: z.number().positive().default(1e-8),
    ...common,
  }),
])
/** Settings of the inner optimiser. */
export type Optimizer = z.infer<typeof OptimizerSchema>
export type OptimizerInput = z.input<typeof OptimizerSchema>

/** How the learning rate goes over a job's samples; see `learningRateAt` of `@pingo/training`. */
export const ScheduleSchema = z.strictObject({
  kind: z.enum(['constant', 'cosine', 'linear', 'wsd', 'step']).default('cosine'),
  /** Fraction of all samples over which the rate rises from 0. */
  warmup: z.number().min(0).max(0.5).default(0.02),
  /** Final rate as a fraction of the peak (cosine, linear, wsd). */
  floor: z.number().min(0).max(1).default(0.02),
  /** wsd: fraction of all samples, at the end, over which the rate falls; 0.2 when absent. */
  decay: z.number().min(0).max(1).optional(),
  /** step: fractions of all samples at which the rate is multiplied by gamma; 0.5 and 0.75 when absent. */
  milestones: z.array(z.number().gt(0).lt(1)).max(MAX_MILESTONES).optional(),
  /** step: 0.1 when absent. */
  gamma: z.number().gt(0).max(1).optional(),
})
export type Schedule = z.infer<typeof ScheduleSchema>

/** Low-rank adapters (Hu et al. 2021): W + alpha / rank * A B, of which only A and B are trained. */
export const LoraSchema = z.strictObject({
  rank: z.int().min(1).max(MAX_LORA_RANK),
  alpha: z.number().positive().max(1e4).optional(),
  match: PatternsSchema.optional(),
})
export type LoraSettings = z.infer<typeof LoraSchema>

const WeightName = z.string().min(1).max(600)
/** The adapters inside a model, written by `withLora` of `@pingo/graph` into the model's metadata. */
export const LoraAdaptersSchema = z
  .array(
    z.strictObject({
      weight: WeightName,
      /** What the adapted layer gives with its adapter's share, and the value without. */
      output: WeightName,
      base: WeightName,
      form: z.enum(['product', 'conv', 'grouped']),
      /** Whether the weight is stored as [out, in]: a Gemm with transB, or a Transpose in front of a MatMul. */
      transposed: z.boolean(),
      scale: z.number(),
      rank: z.int().min(1).max(MAX_LORA_RANK),
    }),
  )
  .max(10_000)
export type LoraAdapter = z.infer<typeof LoraAdaptersSchema>[number]
