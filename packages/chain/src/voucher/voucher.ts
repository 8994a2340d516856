import { hash } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { Address, beginCell } from '@ton/core'
import { z } from 'zod'
import { SIGNATURE_BYTES, type Signer, type Verifier } from '../keys/ed25519.ts'
import { Voucher as VoucherLayout } from '../schema/index.ts'

/** `contract` (a voucher channel or a job's escrow) may pay its payee `amount` in total, by the payer's signature. */
export interface Voucher {
  network: number
  contract: Address
  /** nano-PINGO, of the contract's whole life: each voucher replaces those before it. */
  amount: bigint
  /** Ed25519 over the hash of the cell `Voucher` of the schema, 64 bytes. */
  signature: Buffer
}

/** The vouchers of one contract: what they have in common is laid out once. */
export interface VoucherForm {
  readonly network: number
  readonly contract: Address
  /** Hash of the voucher's cell: what is signed. */
  hash(amount: bigint): Buffer
}

/** TL-B's `Coins` have 15 bytes at most. */
const MAX_AMOUNT = 2n ** 120n - 1n
/** Bits before the amount: op-code, network, address. */
const HEAD_BITS = 32 + 32 + 267
/** Whole bytes of them, after the two descriptor bytes; the last three bits stand in the next one, beside the amount's length. */
const HEAD_BYTES = HEAD_BITS >> 3
const TAIL = 2 + HEAD_BYTES

/**
 * The form of a contract's vouchers. A cell's hash is SHA-256 over two bytes of description and its data (TON whitepaper 3.1.4); the
 * cell has no references, so that the bytes are written here, without building one: descriptors 0 and 83 + 2 n, the head, 4 bits for the
 * length n of the amount in bytes, the amount, and one bit that ends the data on a whole byte.
 */
export function voucherForm(network: number, contract: Address): VoucherForm {
  const head = beginCell()
    .storeUint(VoucherLayout.op as number, 32)
    .storeInt(network, 32)
    .storeAddress(contract)
  // filled up to a whole byte; those bits are written with each amount
  const bytes = head
    .storeUint(0, 8 - (HEAD_BITS & 7))
    .endCell()
    .beginParse()
    .loadBuffer(HEAD_BYTES + 1)
  return {
    network,
    contract,
    hash(amount) {
      if (amount < 0n || amount > MAX_AMOUNT)
        throw new PinGoError('VOUCHER_AMOUNT', 'no voucher can be for this amount')
      const length = byteLength(amount)
      const cell = Buffer.allocUnsafe(TAIL + 1 + length)
      cell[0] = 0
      cell[1] = 2 * (HEAD_BYTES + length) + 1
      bytes.copy(cell, 2)
      cell[TAIL] = (cell[TAIL] as number) | (length << 1)
      // the amount begins one bit before a byte does: shifted by it, with the ending bit behind
      let rest = (amount << 1n) | 1n
      for (let at = TAIL + length; at > TAIL; at--) {
        cell[at] = Number(rest & 0xffn)
        rest >>= 8n
      }
      cell[TAIL] = (cell[TAIL] as number) | Number(rest & 1n)
      return hash('sha256', cell, 'buffer')
    },
  }
}

function byteLength(amount: bigint): number {
  let bytes = 0
  for (let rest = amount; rest > 0n; rest >>= 8n) bytes++
  return bytes
}

/** A voucher for `amount` in total, signed by the payer. */
export function signVoucher(form: VoucherForm, amount: bigint, payer: Signer): Voucher {
  return { network: form.network, contract: form.contract, amount, signature: payer.sign(form.hash(amount)) }
}

/** Whether a voucher is of this contract on this network and signed by the payer's key. */
export function verifyVoucher(form: VoucherForm, voucher: Voucher, payer: Verifier): boolean {
  return (
    voucher.network === form.network &&
    voucher.contract.equals(form.contract) &&
    voucher.amount >= 0n &&
    voucher.amount <= MAX_AMOUNT &&
    payer(form.hash(voucher.amount), voucher.signature)
  )
}

const rawAddress = z.string().regex(/^0:[0-9a-f]{64}$/)

/** A voucher as it travels: JSON, some 260 characters. */
export const VoucherSchema = z.strictObject({
  type: z.literal('pingo-voucher'),
  network: z
    .number()
    .int()
    .min(-(2 ** 31))
    .max(2 ** 31 - 1),
  contract: rawAddress,
  amount: z.string().regex(/^(0|[1-9]\d{0,36})$/),
  signature: z.string().regex(new RegExp(`^[0-9a-f]{${2 * SIGNATURE_BYTES}}$`)),
})

export function voucherToJson({ network, contract, amount, signature }: Voucher): z.infer<typeof VoucherSchema> {
  return {
    type: 'pingo-voucher',
    network,
    contract: contract.toRawString(),
    amount: amount.toString(),
    signature: signature.toString('hex'),
  }
}

/** Reads a voucher from elsewhere; its signature is not checked here. @throws PinGoError VOUCHER_INVALID */
export function voucherFromJson(value: unknown): Voucher {
  const parsed = VoucherSchema.safeParse(value)
  if (!parsed.success)
    throw new PinGoError('VOUCHER_INVALID', 'this is no voucher', { hint: z.prettifyError(parsed.error).slice(0, 300) })
  const { network, contract, amount, signature } = parsed.data
  return {
    network,
    contract: Address.parseRaw(contract),
    amount: BigInt(amount),
    signature: Buffer.from(signature, 'hex'),
  }
}
