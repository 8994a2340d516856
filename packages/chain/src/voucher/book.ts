import { PinGoError } from '@pingo/wire'
import type { Address } from '@ton/core'
import { type Verifier, verifierOf } from '../keys/ed25519.ts'
import { type Voucher, type VoucherForm, verifyVoucher, voucherForm } from './voucher.ts'

/** Contracts that a book keeps at most, unless it is told otherwise. */
export const MAX_CHANNELS = 10_000

/** What the chain says of a contract: its amounts are totals, nano-PINGO. */
export interface ChannelFacts {
  contract: Address
  /** The payer's public key, 32 bytes. */
  payerKey: Uint8Array
  funded: bigint
  claimed: bigint
}

interface Page {
  form: VoucherForm
  payer: Verifier
  key: string
  funded: bigint
  claimed: bigint
  best: Voucher | undefined
}

/** A payee's vouchers: the best of each contract, which is all it ever needs to claim. */
export class VoucherBook {
  readonly #network: number
  readonly #most: number
  readonly #pages = new Map<string, Page>()

  constructor({ network, maxChannels = MAX_CHANNELS }: { network: number; maxChannels?: number }) {
    this.#network = network
    this.#most = maxChannels
  }

  get size(): number {
    return this.#pages.size
  }

  /**
   * Takes a contract in, or what is new of it: more funds, a claim. The facts must come from the chain, not from the payer.
   *
   * @throws PinGoError VOUCHER_BOOK_FULL; KEY_INVALID for a key that anybody can sign for, or another than before
   */
  keep({ contract, payerKey, funded, claimed }: ChannelFacts): void {
    const name = contract.toRawString()
    const key = Buffer.from(payerKey).toString('hex')
    const page = this.#pages.get(name)
    if (page) {
      if (page.key !== key) throw new PinGoError('KEY_INVALID', `the payer of ${name} has another key`)
      page.funded = funded
      page.claimed = claimed
      return
    }
    if (this.#pages.size >= this.#most)
      throw new PinGoError('VOUCHER_BOOK_FULL', `The book has ${this.#most} channels, as many as it may.`, {
        hint: 'Claim what is due, then forget channels that have ended.',
      })
    const payer = verifierOf(payerKey)
    this.#pages.set(name, { form: voucherForm(this.#network, contract), payer, key, funded, claimed, best: undefined })
  }

  /**
   * Takes a voucher if it is better than what there is: cheap refusals come before the signature.
   *
   * @returns by how much the total grew: what was paid just now
   * @throws PinGoError VOUCHER_FOREIGN (another network, or a contract that is not in the book), VOUCHER_STALE (no more than there is),
   * VOUCHER_OVER_FUNDED (more than was paid in), VOUCHER_FORGED
   */
  accept(voucher: Voucher): bigint {
    const page = this.#pages.get(voucher.contract.toRawString())
    if (!page || voucher.network !== this.#network)
      throw new PinGoError('VOUCHER_FOREIGN', 'The voucher is not of a channel that is known here.')
    const before = totalOf(page)
    if (voucher.amount <= before)
      throw new PinGoError('VOUCHER_STALE', 'The voucher is for no more than what was paid before.')
    if (voucher.amount > page.funded)
      throw new PinGoError('VOUCHER_OVER_FUNDED', 'The voucher is for more than the channel holds.', {
        hint: 'The payer can pay more in.',
      })
    if (!verifyVoucher(page.form, voucher, page.payer))
      throw new PinGoError('VOUCHER_FORGED', 'The voucher is not signed by the payer.')
    page.best = voucher
    return voucher.amount - before
  }

  /** The best voucher of a contract. */
  best(contract: Address): Voucher | undefined {
    return this.#pages.get(contract.toRawString())?.best
  }

  /** Vouchers whose claim would pay at least `least`, most first. */
  due(least = 1n): { voucher: Voucher; due: bigint }[] {
    const all: { voucher: Voucher; due: bigint }[] = []
    for (const { best, claimed } of this.#pages.values())
      if (best && best.amount - claimed >= least) all.push({ voucher: best, due: best.amount - claimed })
    return all.sort((a, b) => (a.due < b.due ? 1 : a.due > b.due ? -1 : 0))
  }

  /** Forgets a contract that has ended. */
  forget(contract: Address): void {
    this.#pages.delete(contract.toRawString())
  }
}

const totalOf = ({ best, claimed }: Page): bigint => (best && best.amount > claimed ? best.amount : claimed)
