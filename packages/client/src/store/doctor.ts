import { codeFor, DEFAULT_CODE, type NodeMap, type ObjectStatus } from '@pingo/storage'
import { isPinGoError, sentence } from '@pingo/wire'
import type { Extent, Placed } from './entry.ts'
import type { NameFinding } from './named.ts'
import type { StoreParts } from './parts.ts'
import { type Place, pathOf } from './path-names.ts'

/** Objects that are looked at at once. */
const AT_ONCE = 8
/** An object that nobody checked for so long has its leases renewed by its owner. */
const UNCHECKED_MS = 3 * 24 * 3_600_000

export type Health = 'well' | 'mended' | 'at risk' | 'lost' | 'unknown'

/** How one entry is. */
export interface Finding {
  path: string
  /** Of its objects: a multipart upload has one for each part. */
  ids: string[]
  bytes: number
  health: Health
  /** How it is kept: '10+6', '3 copies'. */
  kept: string
  /** One node has all of it, as there is no other: it is lost with that node. */
  isOnOneNode: boolean
  /** Shards that are left of the worst stripe, and how many there should be; undefined before the first check. */
  shards: { left: number; of: number; needed: number } | undefined
  checkedAt: number | undefined
  caretakers: { there: number; of: number }
  /** Sentences: what is wrong, and what was done. */
  notes: string[]
}

export interface DoctorReport {
  findings: Finding[]
  nodes: number
  /** Known nodes that do not answer: what they hold may be gone. */
  silentNodes: number
  backup: { at: number | undefined; isFresh: boolean; note: string | undefined }
  /** Objects that the network is still to forget. */
  garbage: number
  /** The owner's names, when they were renewed. */
  names?: NameFinding[]
}

/**
 * Looks at every object of the index: who sees to it, how many shards each stripe has left, whether its key is here; then at the backup
 * of the index. What an owner can mend is mended: caretakers that lack an object are given it, leases that nobody renews are renewed,
 * the index is published again.
 */
export async function examine(
  parts: StoreParts,
  o: {
    prefix?: Place
    mends?: boolean
    onProgress?(done: number, total: number): void
    signal?: AbortSignal
  } = {},
): Promise<DoctorReport> {
  const { index, objects, backup } = parts
  const buckets = o.prefix ? [o.prefix.bucket] : index.buckets().map(({ bucket }) => bucket)
  const seen = new Set<string>()
  const work: { entry: Placed; extent: Extent }[] = []
  for (const bucket of buckets)
    for (const entry of index.below(bucket, o.prefix?.key))
      for (const extent of entry.extents) {
        if (seen.has(extent.id)) continue
        seen.add(extent.id)
        work.push({ entry, extent })
      }
  const findings: Finding[] = new Array(work.length)
  let [next, done] = [0, 0]
  const lane = async () => {
    while (next < work.length) {
      o.signal?.throwIfAborted()
      const at = next++
      findings[at] = await examineOne(parts, work[at]!, o)
      o.onProgress?.(++done, work.length)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  let note: string | undefined
  try {
    await backup.sync({ isForced: o.mends, signal: o.signal })
  } catch (error) {
    o.signal?.throwIfAborted()
    note = sentence(error)
  }
  const nodes = objects.nodes.live().length
  const silentNodes = silentOf(objects.nodes)
  const byEntry = new Map<string, Finding>()
  for (const finding of findings) {
    const before = byEntry.get(finding.path)
    byEntry.set(finding.path, before ? worseOf(before, finding) : finding)
  }
  return {
    findings: [...byEntry.values()],
    nodes,
    silentNodes,
    backup: { ...backup.state(), note },
    garbage: index.garbage().length,
  }
}

/** What is to be said of an entry whose parts are these. */
function worseOf(a: Finding, b: Finding): Finding {
  const [worse, better] = RANK.indexOf(b.health) > RANK.indexOf(a.health) ? [b, a] : [a, b]
  const share = ({ shards }: Finding) => (shards ? shards.left / shards.of : 1)
  const lack = ({ caretakers }: Finding) => caretakers.of - caretakers.there
  return {
    ...worse,
    ids: [...a.ids, ...b.ids],
    bytes: a.bytes + b.bytes,
    isOnOneNode: a.isOnOneNode || b.isOnOneNode,
    shards: share(better) < share(worse) ? better.shards : worse.shards,
    caretakers: lack(better) > lack(worse) ? better.caretakers : worse.caretakers,
    notes: [...new Set([...worse.notes, ...better.notes])],
  }
}

async function examineOne(
  parts: StoreParts,
  { entry, extent }: { entry: Placed; extent: Extent },
  o: { mends?: boolean; signal?: AbortSignal },
): Promise<Finding> {
  const { objects, clock } = parts
  const silent = silentOf(objects.nodes)
  const finding: Finding = {
    path: pathOf(entry),
    ids: [extent.id],
    bytes: extent.bytes,
    health: 'well',
    kept: '',
    isOnOneNode: false,
    shards: undefined,
    checkedAt: undefined,
    caretakers: { there: 0, of: 0 },
    notes: [],
  }
  const note = (health: Health, text: string) => {
    if (RANK.indexOf(health) > RANK.indexOf(finding.health)) finding.health = health
    finding.notes.push(text)
  }
  try {
    if (!extent.secret && !entry.isPublic) note('lost', 'Its key is missing: nobody can read it.')
    objects.keyOf(extent)
  } catch (error) {
    note('lost', sentence(error))
  }
  let status: ObjectStatus
  try {
    status = await objects.stat(extent.id, o.signal)
  } catch (error) {
    o.signal?.throwIfAborted()
    const isUnknown = isPinGoError(error, 'OBJECT_MISSING') || isPinGoError(error, 'OBJECT_FORGOTTEN')
    if (isUnknown && silent > 0) note('unknown', `No fog node that answers knows it; ${silent} that may do not answer.`)
    else if (isUnknown) note('lost', 'No fog node has it any more. Put it again if you have the file.')
    else note('unknown', sentence(error))
    return finding
  }
  const { k, m } = status.manifest.code
  finding.kept = keptAs(k, m)
  const could = codeFor(extent.bytes, DEFAULT_CODE, objects.nodes.known?.() ?? objects.nodes.live().length)
  if (could.m > m)
    finding.notes.push(
      `The network has grown and would keep it as ${keptAs(could.k, could.m)} now: put it again to have it so.`,
    )
  finding.checkedAt = status.health.checkedAt
  finding.shards = worstOf(status, k, m)
  const there = status.caretakers.filter(({ cares }) => cares)
  finding.caretakers = { there: there.length, of: status.caretakers.length }
  finding.isOnOneNode = k === 1 && m === 0
  // that there is one node only is no fault of the object: nothing but more nodes mends it
  const isWhole = there.length === status.caretakers.length && (finding.shards?.left ?? k) >= k
  const risks = finding.isOnOneNode && isWhole ? [] : status.risks
  for (const risk of risks) note('at risk', risk)
  const isUnchecked = clock() - (status.health.checkedAt ?? status.at) > UNCHECKED_MS
  const isQuiet = there.length === status.caretakers.length && !isUnchecked && risks.length === 0 && silent === 0
  if (!o.mends || isQuiet) return finding
  try {
    const { shardsLeft: left, newCaretakers: caretakers } = await objects.mend(extent.id, o.signal)
    finding.shards = { left, of: k + m, needed: k }
    finding.caretakers.there += caretakers
    const isWell = left >= k + m && finding.caretakers.there >= finding.caretakers.of
    if (isWell && finding.health === 'at risk') finding.health = 'mended'
    if (caretakers > 0) note('mended', `${caretakers} more fog nodes see to it now.`)
    if (left < k) note('at risk', `Only ${left} of the ${k} shards that a stripe needs answer: it cannot be read now.`)
    else if (left < k + m) note('at risk', `A stripe has ${left} of ${k + m} shards; its caretakers will repair it.`)
  } catch (error) {
    o.signal?.throwIfAborted()
    note('at risk', `It could not be mended: ${sentence(error)}`)
  }
  return finding
}

const silentOf = (nodes: NodeMap): number => Math.max(0, (nodes.known?.() ?? 0) - nodes.live().length)

const RANK: Health[] = ['well', 'mended', 'unknown', 'at risk', 'lost']

/** '10+6' or '3 copies'. */
export const keptAs = (k: number, m: number): string => (k > 1 ? `${k}+${m}` : m === 0 ? '1 copy' : `${m + 1} copies`)

function worstOf({ health }: ObjectStatus, k: number, m: number): Finding['shards'] {
  const counts = Object.entries(health.stripesByShards).filter(([, stripes]) => stripes > 0)
  if (counts.length === 0) return undefined
  return { left: Math.min(...counts.map(([shards]) => Number(shards))), of: k + m, needed: k }
}
