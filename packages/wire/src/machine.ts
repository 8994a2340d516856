import { z } from 'zod'
import { OfferSchema } from './messages.ts'
import { PauseSchema } from './pause.ts'

/**
 * What a contributor tells its owner: by its control API on this machine (loopback, with a token), shown by `pingo contribute status`, the live
 * view in a terminal and the owner's page.
 */

const Id = z.string().max(200)
const Count = z.int().min(0)
const Time = z.number().min(0)
const Share = z.number().min(0).max(1)

export const MachineSliceSchema = z.strictObject({
  index: Count,
  cores: z.number().min(0),
  memoryBytes: Count,
  state: z.enum(['idle', 'fetching', 'training', 'submitting', 'paused']),
  job: Id.optional(),
  jobName: z.string().max(200).optional(),
  round: Count.optional(),
  steps: Count,
  samples: Count,
  loss: z.number().optional(),
  samplesPerSecond: z.number().min(0),
  /** Cores that it used of late, measured. */
  usedCores: z.number().min(0),
  rssBytes: Count,
})

/** How well what runs is kept apart from the owner's machine. */
export const IsolationViewSchema = z.strictObject({
  tier: z.enum(['wasm', 'process', 'namespaces', 'sandbox']),
  /** What is active, for people: 'own namespaces, no network, no files, 71 system calls refused'. */
  sentence: z.string().max(500),
})
export type IsolationView = z.infer<typeof IsolationViewSchema>

export const MachineViewSchema = z.strictObject({
  peerId: Id,
  name: z.string().max(100),
  version: z.string().max(50),
  pid: Count,
  startedAt: Time,
  fog: z.strictObject({
    connected: z.boolean(),
    address: z.string().max(500).optional(),
    reason: z.string().optional(),
  }),
  state: z.enum(['idle', 'working', 'paused', 'offline', 'leaving']),
  pause: PauseSchema.optional(),
  /** What the owner should know: settings that cannot be taken, a data cap that was reached. Sentences. */
  notices: z.array(z.string().max(1000)).max(20).optional(),
  offer: OfferSchema,
  /** Cores that may be used this moment: less than offered while the owner's programs run. */
  allowedCores: z.number().min(0),
  slices: z.array(MachineSliceSchema),
  isolation: IsolationViewSchema.optional(),
  used: z.strictObject({
    /** Of the last half minute, the whole process tree. */
    cores: z.number().min(0),
    rssBytes: Count,
    diskBytes: Count,
    diskQuotaBytes: Count,
    /** This month. */
    sentBytes: Count,
    receivedBytes: Count,
    monthlyBytes: Count.optional(),
  }),
  /** What the sensors say of the owner and the machine; absent what cannot be read here. */
  owner: z.strictObject({
    othersCores: z.number().min(0).optional(),
    pressure: Share.optional(),
    idleMs: z.number().min(0).optional(),
    onBattery: z.boolean().optional(),
    batteryShare: Share.optional(),
    temperatureC: z.number().optional(),
    metered: z.boolean().optional(),
    freeMemoryBytes: Count.optional(),
    application: z.string().max(200).optional(),
  }),
  /** How much the owner's programs were slowed this week, at most: part of the time in which the machine was lent, and that time, ms. */
  slowed: z.strictObject({ share: Share, lentMs: z.number().min(0) }).optional(),
  forecast: z
    .strictObject({
      /** Probability that it still works in so many minutes. */
      survival: z.array(z.strictObject({ minutes: z.number(), probability: Share })),
      /** Mean squared error of past forecasts of a quarter of an hour; and that of always saying the base rate. */
      brier: z.number().optional(),
      brierOfBaseRate: z.number().optional(),
      observedHours: z.number().min(0),
    })
    .optional(),
  credit: z.strictObject({
    leases: Count,
    samplesAccepted: Count,
    samplesIncluded: Count,
    cpuSeconds: z.number().min(0),
  }),
  /** What fog nodes have seen this machine do, by their challenges. */
  capacity: z
    .strictObject({
      claimedCores: z.number().min(0),
      creditedCores: z.number().min(0),
      creditedFlops: z.number().min(0),
      challenges: Count,
      sentence: z.string().max(500).optional(),
    })
    .optional(),
})
export type MachineView = z.infer<typeof MachineViewSchema>
export type MachineSlice = z.infer<typeof MachineSliceSchema>

/** A lease that was run here. */
export const LeaseRecordSchema = z.strictObject({
  lease: Id,
  job: Id,
  jobName: z.string().max(200).optional(),
  /** The fog node's peer id: for whom. */
  fog: Id,
  round: Count,
  slice: Count,
  startedAt: Time,
  endedAt: Time,
  steps: Count,
  samples: Count,
  cpuMs: z.number().min(0),
  sentBytes: Count,
  /** What became of it; `included`: its samples are in a committed round. */
  outcome: z.enum(['included', 'accepted', 'not-accepted', 'given-back', 'failed']),
  /** An error's code, or why it was given back. */
  why: z.string().max(200).optional(),
})
export type LeaseRecord = z.infer<typeof LeaseRecordSchema>

export const EarningsSchema = z.strictObject({
  /** By UTC day, the oldest first. */
  days: z.array(
    z.strictObject({ day: z.string(), leases: Count, samplesIncluded: Count, cpuSeconds: z.number().min(0) }),
  ),
  jobs: z.array(
    z.strictObject({
      job: Id,
      jobName: z.string().max(200).optional(),
      fog: Id,
      leases: Count,
      samplesIncluded: Count,
      cpuSeconds: z.number().min(0),
      lastAt: Time,
    }),
  ),
  total: z.strictObject({ leases: Count, samplesIncluded: Count, cpuSeconds: z.number().min(0) }),
})
export type Earnings = z.infer<typeof EarningsSchema>
