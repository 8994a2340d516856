import type { DatasetView, Explanation, JobEvent, JobView, NetworkView, RoundView, StorageView } from '@pingo/wire'

/**
 * Checks at the page's boundary. The fog node that serves the page also answers it, so the full schemas of `@pingo/wire`
 * stay in the node; here stands what the page's own code relies on, so that an answer of another kind (a proxy's error
 * page, another version) becomes a sentence and never a crash.
 */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer'
  constructor(what: string) {
    super(
      `The fog node's answer for ${what} is not what this page understands. Reload the page; the node may have been updated.`,
    )
  }
}

type Fields = Record<string, unknown>

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const numbers = (value: Fields, names: readonly string[]) => names.every((name) => typeof value[name] === 'number')
const texts = (value: Fields, names: readonly string[]) => names.every((name) => typeof value[name] === 'string')
const listOf = <T>(value: unknown, is: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.every(is)

const isNumbers = (value: unknown): value is Record<string, number> =>
  isObject(value) && Object.values(value).every((item) => typeof item === 'number')

const isShare = (value: unknown): value is RoundView['shares'][number] =>
  isObject(value) && texts(value, ['contributor', 'name']) && numbers(value, ['samples'])

const isJob = (value: unknown): value is JobView =>
  isObject(value) &&
  texts(value, ['id', 'name', 'state', 'program', 'train', 'metricName', 'lossName']) &&
  numbers(value, [
    'submittedAt',
    'rounds',
    'samplesDone',
    'samplesTotal',
    'samplesPerSecond',
    'samplesInFlight',
    'contributors',
    'parameters',
    'batch',
    'epochs',
  ]) &&
  listOf(value.shares, isShare) &&
  (value.testMetrics === undefined || isNumbers(value.testMetrics)) &&
  (value.training === undefined ||
    (isObject(value.training) && texts(value.training, ['loss', 'optimizer', 'schedule'])))

const isExcluded = (value: unknown): value is RoundView['excluded'][number] =>
  isObject(value) && texts(value, ['contributor', 'reason'])

const isRound = (value: unknown): value is RoundView =>
  isObject(value) &&
  texts(value, ['checkpoint']) &&
  numbers(value, ['round', 'at', 'millis', 'samples', 'samplesDone', 'samplesPerSecond']) &&
  listOf(value.shares, isShare) &&
  listOf(value.excluded, isExcluded)

const isContributor = (value: unknown): value is NetworkView['contributors'][number] =>
  isObject(value) &&
  texts(value, ['id', 'name', 'state']) &&
  numbers(value, ['samplesPerSecond', 'samples', 'joinedAt', 'lastSeenAt']) &&
  isObject(value.offer) &&
  numbers(value.offer, ['cores', 'memoryBytes']) &&
  isObject(value.hardware)

const isNetwork = (value: unknown): value is NetworkView =>
  isObject(value) &&
  isObject(value.fog) &&
  texts(value.fog, ['id', 'version']) &&
  numbers(value.fog, ['startedAt', 'blocks', 'blockBytes', 'rssBytes']) &&
  listOf(value.fog.addresses, (item): item is string => typeof item === 'string') &&
  listOf(value.contributors, isContributor) &&
  isObject(value.jobs) &&
  numbers(value, ['cores', 'samplesPerSecond', 'samplesTotal'])

const isDataset = (value: unknown): value is DatasetView =>
  isObject(value) && texts(value, ['cid', 'name', 'kind']) && numbers(value, ['samples', 'bytes', 'addedAt'])

const isPeer = (value: unknown): value is StorageView['peers'][number] =>
  isObject(value) &&
  texts(value, ['id', 'url', 'region', 'domain', 'state', 'standing']) &&
  numbers(value, ['score', 'audits', 'capacityBytes', 'freeBytes', 'seenAt']) &&
  (value.rttMs === undefined || typeof value.rttMs === 'number')

const isStoredObject = (value: unknown): value is StorageView['objects'][number] =>
  isObject(value) &&
  texts(value, ['id']) &&
  numbers(value, ['bytes', 'stripes', 'dueAt']) &&
  isObject(value.code) &&
  numbers(value.code, ['k', 'm']) &&
  isNumbers(value.stripesByMissing)

const isStorage = (value: unknown): value is StorageView =>
  isObject(value) &&
  isObject(value.node) &&
  texts(value.node, ['id', 'state']) &&
  numbers(value.node, ['capacityBytes', 'usedBytes', 'blocks', 'leasedBytes']) &&
  isNumbers(value.reads) &&
  isNumbers(value.cache) &&
  isObject(value.care) &&
  numbers(value.care, ['objects', 'due', 'repairsQueued']) &&
  isNumbers(value.care.stripesByMissing) &&
  isNumbers(value.audits) &&
  isNumbers(value.repairs) &&
  isNumbers(value.scrub) &&
  numbers(value, ['names']) &&
  (value.leaving === undefined ||
    (isObject(value.leaving) && numbers(value.leaving, ['objects', 'shards', 'inCare']))) &&
  listOf(value.peers, isPeer) &&
  listOf(value.objects, isStoredObject)

const isConstraint = (value: unknown): value is Explanation['constraints'][number] =>
  isObject(value) && texts(value, ['what', 'change'])

function check<T>(value: unknown, is: (value: unknown) => value is T, what: string): T {
  if (!is(value)) throw new UnexpectedAnswer(what)
  return value
}

const field = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined)

/** @throws UnexpectedAnswer, as all decoders here. */
export const decodeNetwork = (value: unknown): NetworkView => check(value, isNetwork, 'the network')
export const decodeJob = (value: unknown): JobView => check(value, isJob, 'the job')
export const decodeJobs = (value: unknown): JobView[] =>
  check(field(value, 'jobs'), (list): list is JobView[] => listOf(list, isJob), 'the jobs')
export const decodeRounds = (value: unknown): RoundView[] =>
  check(field(value, 'rounds'), (list): list is RoundView[] => listOf(list, isRound), "the job's rounds")
export const decodeDatasets = (value: unknown): DatasetView[] =>
  check(field(value, 'datasets'), (list): list is DatasetView[] => listOf(list, isDataset), 'the datasets')
export const decodeStorage = (value: unknown): StorageView => check(value, isStorage, 'the storage network')
export const decodeExplanation = (value: unknown): Explanation =>
  check(
    value,
    (item): item is Explanation =>
      isObject(item) && texts(item, ['state', 'sentence']) && listOf(item.constraints, isConstraint),
    "the job's explanation",
  )

/** One event of a job's stream from its `data:` text; undefined for what this page does not know. */
export function decodeEvent(text: string): JobEvent | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || !numbers(value, ['seq', 'at'])) return undefined
  switch (value.type) {
    case 'state':
    case 'progress':
      return isJob(value.job) ? (value as unknown as JobEvent) : undefined
    case 'round':
      return isRound(value.round) ? (value as unknown as JobEvent) : undefined
    case 'log':
      return texts(value, ['level', 'message']) ? (value as unknown as JobEvent) : undefined
    default:
      return undefined
  }
}
