import { createHash } from 'node:crypto'
import {
  MAX_CLOCK_SKEW_MS,
  MAX_NODE_RECORD_BYTES,
  MAX_NODES,
  NODE_RECORD_TYPE,
  type NodeRecord,
  NodeRecordSchema,
  PinGoError,
  unseal,
} from '@pingo/wire'

/** A node that was not heard of for so long is forgotten. */
export const NODE_SILENT_MS = 3_600_000

export interface KnownNode {
  record: NodeRecord
  sealed: Uint8Array
}

/** A node's record, signed by that node. @throws PinGoError MESSAGE_*, SIGNATURE_INVALID, NODE_RECORD_INVALID */
export async function openNodeRecord(sealed: Uint8Array): Promise<NodeRecord> {
  const { from, value } = await unseal(NodeRecordSchema, NODE_RECORD_TYPE, sealed, MAX_NODE_RECORD_BYTES)
  const url = URL.parse(value.url)
  const invalid = (why: string) => new PinGoError('NODE_RECORD_INVALID', `The record of a node is wrong: ${why}.`)
  if (from !== value.peerId) throw invalid('it is signed by another')
  if (!url || !/^https?:$/.test(url.protocol) || url.hash || url.username || url.search)
    throw invalid('its URL is none')
  if (value.pin !== undefined && url.protocol !== 'https:')
    throw invalid('a certificate is pinned, but it is not https')
  return value
}

/** The newest signed record of each node, by sequence; those of silent nodes are dropped; bounded. */
export class NodeBook {
  readonly #clock: () => number
  readonly #known = new Map<string, KnownNode>()
  /** Hashes of sealed records that were taken. */
  readonly #old = new Set<string>()

  constructor(clock: () => number) {
    this.#clock = clock
  }

  /**
   * @returns the record when it is news: of an unknown node, or newer than the one that is here
   * @throws PinGoError MESSAGE_*, SIGNATURE_INVALID, NODE_RECORD_INVALID
   */
  async read(sealed: Uint8Array): Promise<KnownNode | undefined> {
    const hash = createHash('sha256').update(sealed).digest('base64')
    if (this.#old.has(hash)) return undefined // most of what is told is known: no signature is checked twice
    const record = await openNodeRecord(sealed)
    if (!this.#isNews(record)) return undefined
    return { record, sealed }
  }

  /** Takes what {@link NodeBook.read} gave. */
  take(node: KnownNode): boolean {
    this.prune()
    const { peerId } = node.record
    if (!this.#isNews(node.record) || (!this.#known.has(peerId) && this.#known.size >= MAX_NODES)) return false
    this.#known.set(peerId, node)
    this.#old.add(createHash('sha256').update(node.sealed).digest('base64'))
    if (this.#old.size > 2 * MAX_NODES) this.#old.delete(this.#old.values().next().value!)
    return true
  }

  get(peerId: string): KnownNode | undefined {
    const known = this.#known.get(peerId)
    return known && this.#isFresh(known.record) ? known : undefined
  }

  list(): KnownNode[] {
    return [...this.#known.values()].filter(({ record }) => this.#isFresh(record))
  }

  prune(): void {
    for (const [peerId, { record }] of this.#known) if (!this.#isFresh(record)) this.#known.delete(peerId)
  }

  #isNews({ peerId, sequence, at }: NodeRecord): boolean {
    const known = this.#known.get(peerId)
    return this.#isFresh({ at }) && (!known || sequence > known.record.sequence)
  }

  #isFresh({ at }: Pick<NodeRecord, 'at'>): boolean {
    const age = this.#clock() - at
    return age <= NODE_SILENT_MS && age >= -MAX_CLOCK_SKEW_MS
  }
}
