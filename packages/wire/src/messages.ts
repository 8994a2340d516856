import { z } from 'zod'
import { KeySchema } from './keys.ts'
import { CidText, FileRefSchema } from './manifests.ts'
import { PauseReasonSchema } from './pause.ts'

/** Type of the signed envelope that holds an {@link UpdateSchema}. */
export const UPDATE_TYPE = 'pingo/update/1'

export const MAX_CONTROL_MESSAGE_BYTES = 256 << 10
/** Largest parameter count of a job: bounds updates and checkpoints. */
export const MAX_PARAMETERS = 100_000_000
export const MAX_LEASE_RANGES = 1_000
export const MAX_LEASE_STEPS = 1_000_000
/** Contributor → fog: a heartbeat each so often … */
export const HEARTBEAT_MS = 2_000
/** … and who is silent for so long is gone (dead-node detection ≤ 6 s). */
export const EVICT_MS = 6_000

/** Upper bound of a signed update's bytes for a program of `parameters` and `buffers` elements. */
export const maxUpdateBytes = (parameters: number, buffers: number): number =>
  Math.ceil(parameters * (1 + 4 / 256)) + buffers * 4 + 64 * 1024

const Id = z.string().min(1).max(100)
const Millis = z.number().min(0).max(1e12)
const Count = z.int().min(0)
const Bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'is not bytes')

/** Batch indices [from, to) of a job's stream. */
export const RangeSchema = z.tuple([Count, Count]).refine(([from, to]) => from < to, 'is empty')
export type Range = z.infer<typeof RangeSchema>

/** Most slices of one contributor. */
export const MAX_SLICES = 256

/** A fraction of a contributor: one lease at a time, on at most one core. */
export const SliceSchema = z.strictObject({ cores: z.number().min(0.05).max(1), memoryBytes: Count })
export type Slice = z.infer<typeof SliceSchema>

export const OfferSchema = z.strictObject({
  cores: z.number().min(0.05).max(4096),
  memoryBytes: Count,
  diskBytes: Count,
  /** How it is divided: slices work side by side, for one job or several. Absent: one slice of all. */
  slices: z.array(SliceSchema).min(1).max(MAX_SLICES).optional(),
})
/** What an owner lends; a job may count on what one slice has. */
export type Offer = z.infer<typeof OfferSchema>

/** The slices of an offer, one at least. */
export const slicesOf = ({ cores, memoryBytes, slices }: Offer): Slice[] =>
  slices ?? [{ cores: Math.min(1, cores), memoryBytes }]

export const HardwareSchema = z.strictObject({
  platform: z.string().max(100),
  cpu: z.string().max(200),
  cores: z.int().min(1).max(4096),
  memoryBytes: Count,
  runtime: z.string().max(200),
  /** Vector instructions that the runtime finds, such as 'avx2 fma'; with runtime and threads the class inside which results are bitwise equal. */
  isa: z.string().max(200).optional(),
  /** Threads of a slice. */
  threads: z.int().min(1).max(4096).optional(),
  /** How jobs are kept apart from the machine. */
  isolation: z.enum(['wasm', 'process', 'namespaces', 'sandbox']).optional(),
})
export type Hardware = z.infer<typeof HardwareSchema>

function isWithinSteps(ranges: Range[]): boolean {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0) <= MAX_LEASE_STEPS
}

/** A contributor's right to train on batch ranges for one round; `fence` grows with every lease of a job. */
export const LeaseSchema = z.strictObject({
  id: Id,
  job: Id,
  round: Count,
  fence: Count,
  program: FileRefSchema,
  dataset: FileRefSchema,
  /** Parameters and buffers to start from: a safetensors file with `theta` and `buffers`, both float32 and flat. */
  base: FileRefSchema,
  ranges: z.array(RangeSchema).min(1).max(MAX_LEASE_RANGES).refine(isWithinSteps, 'has too many steps'),
  order: z.strictObject({ samples: z.int().min(1), seed: Count, total: z.int().min(1) }),
  learningRate: z.strictObject({ from: z.number().min(0), to: z.number().min(0) }),
  /** Stop at the first step boundary after this much time and submit what is done. */
  softMs: z.number().min(1).max(1e9),
  /** After this much time the lease is void and its ranges go back. */
  ttlMs: z.number().min(1).max(1e9),
  codec: z.literal('int8-256'),
  /** Bearer token for the update's PUT: only who holds the lease may make the fog node read a body. */
  ticket: z.string().max(200),
  /** Which slice of the contributor it is for; absent: the first. */
  slice: z.int().min(0).max(MAX_SLICES).optional(),
  /** The job's name, for the contributor's owner. */
  jobName: z.string().max(200).optional(),
  /** Of a private dataset, until the lease ends: kept in memory alone, never written, never logged. */
  key: KeySchema.optional(),
})
export type Lease = z.infer<typeof LeaseSchema>

/**
 * The result of a lease, signed by its contributor: the first `steps` batches of the lease's ranges were trained.
 * `delta` is theta_start − theta_end (the pseudo-gradient) in the lease's codec; `buffers` the running statistics, float32.
 */
export const UpdateSchema = z.strictObject({
  job: Id,
  round: Count,
  lease: Id,
  fence: Count,
  base: CidText,
  steps: z.int().min(1).max(MAX_LEASE_STEPS),
  samples: z.int().min(1),
  lossSum: z.number(),
  metricSum: z.number(),
  millis: Millis,
  codec: z.literal('int8-256'),
  delta: Bytes,
  buffers: Bytes,
})
export type Update = z.infer<typeof UpdateSchema>

/** Links of one challenge at most; the answer to a link is a hash. */
export const MAX_CHALLENGE_LINKS = 2_000
export const CHALLENGE_ANSWER_BYTES = 32
/** Longest that a challenge lets a slice work, ms. */
export const MAX_CHALLENGE_MS = 10_000

/** What a fog node says of a contributor by what it has shown; never an accusation of one bad moment. */
export const CapacityFlagSchema = z.enum(['overclaimed', 'slow', 'outsourced', 'wrong-answer'])
export type CapacityFlag = z.infer<typeof CapacityFlagSchema>

/** What a contributor has shown to a fog node, and is credited: never more than it claims. */
export const CreditSchema = z.strictObject({
  cores: z.number().min(0),
  /** Float32 operations a second, all slices at once. */
  flops: z.number().min(0),
  /** Challenges that it answered. */
  challenges: Count,
  flag: CapacityFlagSchema.optional(),
  sentence: z.string().max(500).optional(),
})
export type Credit = z.infer<typeof CreditSchema>

/** Why a contributor gives a lease back with nothing done. */
export const ReleaseReasonSchema = z.enum(['leaving', 'paused', 'failed', 'diverged', 'refused', 'superseded'])

/** What a slice does; `paused`: it takes no lease now. */
export const SliceStateSchema = z.enum(['idle', 'fetching', 'training', 'submitting', 'paused'])
export type SliceState = z.infer<typeof SliceStateSchema>

export const SliceReportSchema = z.strictObject({
  state: SliceStateSchema,
  lease: Id.optional(),
  steps: Count.optional(),
  samples: Count.optional(),
  loss: z.number().optional(),
})
export type SliceReport = z.infer<typeof SliceReportSchema>

/** Probability that a contributor still works in so many minutes, by its own forecast. */
export const SurvivalSchema = z.array(
  z.strictObject({ minutes: z.number().min(0).max(100_000), probability: z.number().min(0).max(1) }),
)
export type Survival = z.infer<typeof SurvivalSchema>

export const ContributorMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    version: z.string().max(50),
    name: z.string().max(100),
    offer: OfferSchema,
    hardware: HardwareSchema,
    /** Estimate of one thread's float32 throughput, FLOP/s, from a short benchmark; 0 when unknown. For planning only. */
    flops: z.number().min(0),
    /** Leases that this contributor still works on or still has to submit (after a reconnect). */
    leases: z.array(z.strictObject({ lease: Id, slice: z.int().min(0).max(MAX_SLICES) })).max(2 * MAX_SLICES),
  }),
  z.strictObject({
    type: z.literal('heartbeat'),
    rssBytes: Count,
    /** By the slice's index. */
    slices: z.array(SliceReportSchema).max(MAX_SLICES),
    /** Why none works, since when, and when that ends where it is known; ms since epoch. */
    pause: z
      .strictObject({ reason: PauseReasonSchema, since: z.number().min(0), until: z.number().min(0).optional() })
      .optional(),
    survival: SurvivalSchema.max(16).optional(),
  }),
  /** What is lent has changed: slices that are gone hand in what they have. */
  z.strictObject({ type: z.literal('offer'), offer: OfferSchema, flops: z.number().min(0) }),
  z.strictObject({
    type: z.literal('release'),
    lease: Id,
    reason: ReleaseReasonSchema,
    code: z.string().max(100).optional(),
    message: z.string().max(1000).optional(),
  }),
  /** To a challenge, one for each slice: `ready` to `prepare`, `done` with the answers of all links that were done to `work`; to `echo` one for all. */
  z.strictObject({
    type: z.literal('answer'),
    challenge: Id,
    slice: z.int().min(0).max(MAX_SLICES),
    state: z.enum(['ready', 'done', 'paused', 'failed']),
    /** With `ready`: what it claims now, FLOP/s of all slices at once; absent: as in its hello. */
    flops: z.number().min(0).optional(),
    answers: Bytes.refine(
      ({ byteLength }) =>
        byteLength % CHALLENGE_ANSWER_BYTES === 0 && byteLength <= CHALLENGE_ANSWER_BYTES * MAX_CHALLENGE_LINKS,
      'is not a list of answers',
    ).optional(),
  }),
  z.strictObject({ type: z.literal('leave') }),
])
export type ContributorMessage = z.infer<typeof ContributorMessageSchema>

export const FogMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('welcome'),
    version: z.string().max(50),
    /** Where bulk data are pulled from and updates PUT to. `port`: same host as the control connection, when no `url` is set. */
    data: z.strictObject({
      port: z.int().min(1).max(65_535),
      url: z.string().max(500).optional(),
      tls: z.boolean(),
      /** SHA-256 of the certificate's DER bytes, hex: the TLS identity, vouched for by the authenticated control channel. */
      pin: z.string().max(100).optional(),
    }),
  }),
  z.strictObject({ type: z.literal('lease'), lease: LeaseSchema }),
  z.strictObject({ type: z.literal('revoke'), lease: Id, reason: z.string().max(500) }),
  z.strictObject({
    type: z.literal('included'),
    job: Id,
    lease: Id,
    round: Count,
    samples: Count,
  }),
  /**
   * Show what you can do, in each of these slices at the same moment (`@pingo/engine/challenge`). `prepare`: have the graphs of so many products open.
   * `work`: links of `products[0]` products, until there are `links` of them or `ms` are over. `echo`: answer at once.
   */
  z.strictObject({
    type: z.literal('challenge'),
    id: Id,
    step: z.enum(['prepare', 'echo', 'work']),
    seed: KeySchema,
    slices: z.array(z.int().min(0).max(MAX_SLICES)).min(1).max(MAX_SLICES),
    products: z
      .array(z.literal([4, 16, 64, 256]))
      .min(1)
      .max(4),
    links: z.int().min(1).max(MAX_CHALLENGE_LINKS),
    ms: z.number().min(0).max(MAX_CHALLENGE_MS),
  }),
  /** The challenge is over: what was shown in it (FLOP/s), and what counts from here on. */
  z.strictObject({ type: z.literal('credited'), shown: z.number().min(0), credit: CreditSchema }),
  /** A job with private data is over: what is left of them in memory goes. */
  z.strictObject({ type: z.literal('ended'), job: Id }),
])
export type FogMessage = z.infer<typeof FogMessageSchema>

/** The channel that a contributor opens to its fog node, outbound, and keeps open. */
export const contributorChannel = {
  name: '/pingo/contributor/1.0.0',
  clientMessage: ContributorMessageSchema,
  serverMessage: FogMessageSchema,
  maxMessageBytes: MAX_CONTROL_MESSAGE_BYTES,
  // a challenge of many slices is answered by each of them, a few times in a second
  rate: { perSecond: 50, burst: 1_000 },
}

/** The answer to `PUT /v1/leases/{lease}/update`: accepted means stored durably; it counts once its round commits. */
export const UpdateAnswerSchema = z.strictObject({
  accepted: z.boolean(),
  code: z.string().max(100).optional(),
  message: z.string().max(1000).optional(),
})
export type UpdateAnswer = z.infer<typeof UpdateAnswerSchema>
