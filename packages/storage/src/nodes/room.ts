import { PinGoError } from '@pingo/wire'
import type { Asker } from './access.ts'
import type { Leases } from './leases.ts'
import { counted } from './rate.ts'

/**
 * The part of the quota that one other fog node may fill, by repairs, and by the owners for whom it vouches: anybody may run a fog
 * node, and one that vouches for everybody must not fill the disks of all.
 */
const PEER_SHARE = 0.25

export interface RoomOptions {
  /** Of this node: for itself it has as much as its disk. */
  peerId: string
  leases: Leases
  /** Bytes that chunks may take. */
  quotaBytes: number
  /** True for the fog nodes that live, and this one. */
  isFogNode: (peerId: string) => boolean
  /** True for a fog node that proved itself, also while it is away. */
  isKnown: (peerId: string) => boolean
  /** True for a fog node that may vouch without bounds: of the same operator. */
  isTrusted?: (peerId: string) => boolean
  /** ms since epoch. */
  clock: () => number
}

/** How much of a node's disk each asker may fill: its allowance, as far as the fog node that vouches for it may vouch here. */
export class Room {
  readonly #o: RoomOptions
  /** Bytes that are being written, by owner and by who vouches. */
  readonly #reserved = new Map<string, number>()

  constructor(o: RoomOptions) {
    this.#o = o
  }

  /** @throws PinGoError ALLOWANCE_EXCEEDED, ALLOWANCE_MISSING, VOUCHER_EXCEEDED */
  check(asker: Asker, bytes: number): void {
    const allowed = this.#allowed(asker)
    if (this.#o.leases.usedBy(asker.peerId) + (this.#reserved.get(asker.peerId) ?? 0) + bytes > allowed)
      throw new PinGoError('ALLOWANCE_EXCEEDED', `The allowance of ${allowed} bytes is used up at this node.`, {
        hint: 'Remove what is not wanted any more, or ask for a larger allowance.',
      })
    this.#checkVoucher(asker, bytes)
  }

  #checkVoucher({ allowance }: Asker, bytes: number): void {
    if (!allowance || allowance.by === this.#o.peerId || this.#o.isTrusted?.(allowance.by)) return
    const most = PEER_SHARE * this.#o.quotaBytes
    if (this.#o.leases.vouchedBy(allowance.by) + (this.#reserved.get(allowance.by) ?? 0) + bytes > most)
      throw new PinGoError(
        'VOUCHER_EXCEEDED',
        'The fog node that vouches for you has no more room here to vouch for.',
        {
          hint: 'Other nodes take the data; or ask another fog node for an allowance.',
        },
      )
  }

  /**
   * Promises room to an asker, so that it is not promised twice.
   * @returns ends the promise, once
   * @throws PinGoError as {@link check}
   */
  reserve(asker: Asker, bytes: number): () => void {
    this.check(asker, bytes)
    const ends = [asker.peerId, asker.allowance?.by].map((who) => who && counted(this.#reserved, who, bytes))
    return () => {
      for (const end of ends) if (end) end()
    }
  }

  #allowed({ peerId, allowance }: Asker): number {
    if (peerId === this.#o.peerId) return Number.POSITIVE_INFINITY
    if (allowance && this.isGood(allowance)) return allowance.bytes
    if (this.#o.isFogNode(peerId)) return PEER_SHARE * this.#o.quotaBytes
    throw new PinGoError('ALLOWANCE_MISSING', 'Storing needs an allowance by a fog node that is known here.', {
      hint: 'Ask the fog node that you use for one, or for a new one when it is over.',
    })
  }

  /** Whether an allowance counts here and now. */
  isGood({ until, by }: NonNullable<Asker['allowance']>): boolean {
    return until > this.#o.clock() && (this.#o.isFogNode(by) || this.#o.isKnown(by))
  }
}
