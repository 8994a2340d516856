import {
  FORGET_TYPE,
  ForgetSchema,
  type Identity,
  MAX_OBJECT_RECORD_BYTES,
  type ObjectManifest,
  PinGoError,
  parseCid,
  type StorageClass,
  seal,
  unseal,
} from '@pingo/wire'
import type { NodeMap, ObjectHealth } from '../nodes/port.ts'
import { REPAIR_AT } from '../placement/codes.ts'
import { within } from './abort.ts'
import { Caretakers, objectMissing, type Told } from './locate.ts'
import { width } from './object.ts'

const ASK_DEADLINE_MS = 15_000

/** What the network knows of an object. */
export interface ObjectStatus {
  id: string
  manifest: ObjectManifest
  manifestCid: string
  /** PeerId of the owner. */
  owner: string
  class: StorageClass
  storedBytes: number
  /** When its owner put it, ms since epoch. */
  at: number
  /** The newest check of any caretaker. */
  health: ObjectHealth
  /** Those that should care for it, in rank order, and whether they answer that they do. */
  caretakers: { peerId: string; cares: boolean }[]
  /** Sentences on what endangers it; none when all is well. */
  risks: string[]
}

/**
 * Asks an object's caretakers of it.
 * @throws PinGoError OBJECT_MISSING, OBJECT_FORGOTTEN, MANIFEST_MALFORMED, or the signal's reason
 */
export async function statObject(o: { id: string; nodes: NodeMap; signal?: AbortSignal }): Promise<ObjectStatus> {
  const caretakers = new Caretakers(o.id, o.nodes)
  const { ranked, told } = await askAll(caretakers, o.signal)
  const best = told.toSorted((a, b) => b.record.at - a.record.at)[0]
  if (!best) throw objectMissing(o.id)
  await refuseForgotten(told)
  const { manifest, manifestCid } = await caretakers.locate(o.signal)
  const health = told
    .map(({ state }) => state.health)
    .reduce((a, b) => ((b.checkedAt ?? 0) > (a.checkedAt ?? 0) ? b : a))
  const caring = new Set(told.map(({ node }) => node.record.peerId))
  const status = {
    id: o.id,
    manifest,
    manifestCid: manifestCid.toString(),
    owner: best.owner,
    class: best.record.class,
    storedBytes: best.record.storedBytes,
    at: best.record.at,
    health,
    caretakers: ranked.map(({ record: { peerId } }) => ({ peerId, cares: caring.has(peerId) })),
  }
  return { ...status, risks: risksOf(status) }
}

function risksOf({ manifest, health, caretakers }: Omit<ObjectStatus, 'risks'>): string[] {
  const { code } = manifest
  const risks: string[] = []
  if (width(code) === 1) risks.push('It is kept on one node: it is lost with it.')
  const repairAt = Math.min(REPAIR_AT, width(code) - 1)
  for (const [shards, stripes] of Object.entries(health.stripesByShards).map(
    ([n, count]) => [Number(n), count] as const,
  ))
    if (shards < code.k)
      risks.push(`${stripes} stripes had ${shards} shards at the last check, and need ${code.k}: they cannot be read.`)
    else if (shards <= repairAt && code.k > 1)
      risks.push(
        `${stripes} stripes had ${shards} of ${width(code)} shards at the last check: they are being repaired.`,
      )
  const absent = caretakers.filter(({ cares }) => !cares).length
  if (absent === caretakers.length) risks.push('None of the nodes that should care for it does.')
  else if (absent > 0)
    risks.push(`${absent} of the ${caretakers.length} nodes that should care for it do not answer that they do.`)
  return risks
}

/** @throws PinGoError OBJECT_FORGOTTEN when the owner's word is newer than every record */
async function refuseForgotten(told: readonly Told[]): Promise<void> {
  for (const { state, record, owner } of told) {
    if (!state.forgotten) continue
    const word = await unseal(ForgetSchema, FORGET_TYPE, state.forgotten, MAX_OBJECT_RECORD_BYTES).catch(
      () => undefined,
    )
    if (word?.from === owner && word.value.id === record.id && word.value.at >= record.at)
      throw new PinGoError('OBJECT_FORGOTTEN', `Object ${record.id} was removed by its owner.`)
  }
}

/** What each of an object's caretakers tells; others only when none of them knows of it. */
async function askAll(caretakers: Caretakers, signal?: AbortSignal) {
  const ranked = caretakers.list()
  const answers = await Promise.allSettled(ranked.map((node) => caretakers.told(node, within(ASK_DEADLINE_MS, signal))))
  signal?.throwIfAborted()
  const told = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  if (told.length > 0) return { ranked, told }
  const other = await caretakers.ask((node, signal) => caretakers.told(node, signal), signal)
  return { ranked, told: other ? [other.value] : [] }
}

/**
 * Tells an object's caretakers that it is kept no longer; its chunks are collected when their leases end.
 * @returns the caretakers that were told; those that do not answer forget it when they hear of the others
 * @throws PinGoError STORAGE_NODES_FEW (none could be told), what all of them said (FORBIDDEN …), or the signal's reason
 */
export async function forgetObject(o: {
  id: string
  owner: Identity
  nodes: NodeMap
  clock?: () => number
  signal?: AbortSignal
}): Promise<{ told: string[]; failed: string[] }> {
  const { id, owner, nodes, clock = Date.now, signal } = o
  parseCid(id)
  const caretakers = new Caretakers(id, nodes)
  const { ranked, told: known } = await askAll(caretakers, signal)
  // the machine that put it may have had a clock that was ahead of this one's: its word would count as the later one
  const putAt = known.filter((told) => told.owner === owner.peerId).map(({ record }) => record.at)
  const sealed = await seal(owner, FORGET_TYPE, { id, at: Math.max(clock(), ...putAt) })
  const nodesToTell = new Set([...ranked, ...known.map(({ node }) => node)])
  const told: string[] = []
  const failed: string[] = []
  let refusal: unknown
  await Promise.all(
    [...nodesToTell].map(async (node) => {
      try {
        await node.forget(id, sealed, { signal: within(ASK_DEADLINE_MS, signal) })
        told.push(node.record.peerId)
      } catch (error) {
        refusal = error
        failed.push(node.record.peerId)
      }
    }),
  )
  signal?.throwIfAborted()
  if (told.length > 0) return { told, failed }
  if (refusal instanceof PinGoError && refusal.code !== 'SOURCE_UNREACHABLE') throw refusal
  throw new PinGoError('STORAGE_NODES_FEW', `No node that cares for ${id} answers.`, {
    hint: 'Try again later.',
    cause: refusal,
  })
}
