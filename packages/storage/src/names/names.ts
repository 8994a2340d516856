import { type Identity, PinGoError } from '@pingo/wire'
import type { CallOptions, NodeMap, StorageNode } from '../nodes/port.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { checkName, type NameVersion, nameOf, signName } from './record.ts'

/** Nodes next in rank that are asked when no keeper knows a name: they kept it before the network grew. */
const FORMER_KEEPERS = 64

/** A version, and the record that its key signed. */
export type SignedVersion = NameVersion & { record: Uint8Array }

/**
 * Mutable pointers: a name is a key's, and points to what the newest record says that the key signed (IPNS). The nodes that
 * {@link caretakersOf} names keep its records; none is trusted, and none can hide a newer version that any other of them shows.
 */
export class Names {
  readonly #nodes: NodeMap
  readonly #clock: () => number

  constructor(o: { nodes: NodeMap; clock?: () => number }) {
    this.#nodes = o.nodes
    this.#clock = o.clock ?? Date.now
  }

  /**
   * Points the identity's name to a CID or path; most of its keepers have it when this resolves.
   * @returns the version that it became
   * @throws PinGoError NAME_NOT_PUBLISHED, NAME_UNRESOLVED
   */
  async publish(
    identity: Identity,
    value: string,
    o: CallOptions & { lifetimeMs?: number } = {},
  ): Promise<NameVersion> {
    const name = nameOf(identity)
    const [before] = await this.versions(name, o)
    const sequence = (before?.sequence ?? -1) + 1
    return await this.#put(identity, value, sequence, o)
  }

  /**
   * Lets the newest version of a name last longer, and gives it to keepers that lack it; it stays the version that it is.
   * @returns undefined when nothing was published
   * @throws PinGoError NAME_NOT_PUBLISHED, NAME_UNRESOLVED
   */
  async renew(identity: Identity, o: CallOptions & { lifetimeMs?: number } = {}): Promise<NameVersion | undefined> {
    const [newest] = await this.versions(nameOf(identity), o)
    return newest && (await this.#put(identity, newest.value, newest.sequence, o))
  }

  async #put(
    identity: Identity,
    value: string,
    sequence: number,
    o: CallOptions & { lifetimeMs?: number },
  ): Promise<NameVersion> {
    const name = nameOf(identity)
    const record = await signName(identity, value, { sequence, clock: this.#clock, lifetimeMs: o.lifetimeMs })
    const keepers = this.#keepers(name)
    const puts = await Promise.allSettled(keepers.map((node) => node.putName(name, record, o)))
    o.signal?.throwIfAborted()
    const kept = puts.filter(({ status }) => status === 'fulfilled').length
    if (kept * 2 <= keepers.length)
      throw new PinGoError(
        'NAME_NOT_PUBLISHED',
        `Only ${kept} of ${keepers.length} fog nodes took the new record of ${name}.`,
        { hint: 'Try again when more fog nodes can be reached.', cause: puts.find(isRejected)?.reason },
      )
    return await checkName(name, record, this.#clock)
  }

  /**
   * The newest version that its keepers know, undefined when there is none.
   * @throws PinGoError NAME_MALFORMED, NAME_UNRESOLVED (nobody answers)
   */
  async resolve(name: string, o: CallOptions = {}): Promise<NameVersion | undefined> {
    const newest = await this.newest(name, o)
    if (!newest) return undefined
    const { record: _, ...version } = newest
    return version
  }

  /** … with its record. @throws PinGoError as {@link Names.resolve} */
  async newest(name: string, o: CallOptions = {}): Promise<SignedVersion | undefined> {
    const [newest] = await this.#ask(name, o, async (node) => {
      const record = await node.getName(name, o)
      return record ? [{ ...(await checkName(name, record, this.#clock)), record }] : []
    })
    return newest
  }

  /** All versions that its keepers still have, newest first. @throws PinGoError as {@link Names.resolve} */
  async versions(name: string, o: CallOptions = {}): Promise<NameVersion[]> {
    return await this.#ask(name, o, async (node) => {
      const records = await node.nameVersions(name, o)
      return await Promise.all(records.map((record) => checkName(name, record, ANY_TIME))) // an ended one is history
    })
  }

  async #ask<V extends NameVersion>(
    name: string,
    o: CallOptions,
    question: (node: StorageNode) => Promise<V[]>,
  ): Promise<V[]> {
    const keepers = this.#keepers(name)
    let answers = await Promise.allSettled(keepers.map(question))
    o.signal?.throwIfAborted()
    if (!answers.some((answer) => !isRejected(answer) && answer.value.length > 0)) {
      const former = caretakersOf(name, this.#nodes.live(), keepers.length + FORMER_KEEPERS).slice(keepers.length)
      answers = [...answers, ...(await Promise.allSettled(former.map(question)))]
      o.signal?.throwIfAborted()
    }
    if (answers.every(isRejected))
      throw new PinGoError('NAME_UNRESOLVED', `No fog node says what ${name} points to.`, {
        hint: 'Check that a fog node can be reached, and try again.',
        cause: answers[0]?.reason,
      })
    const bySequence = new Map<number, V>()
    for (const answer of answers)
      for (const version of isRejected(answer) ? [] : answer.value) {
        const known = bySequence.get(version.sequence)
        if (!known || known.validUntil < version.validUntil) bySequence.set(version.sequence, version) // it was renewed
      }
    return [...bySequence.values()].sort((a, b) => b.sequence - a.sequence)
  }

  #keepers(name: string): StorageNode[] {
    return caretakersOf(name, this.#nodes.live())
  }
}

const ANY_TIME = () => 0
const isRejected = (result: PromiseSettledResult<unknown>): result is PromiseRejectedResult =>
  result.status === 'rejected'
