import { PinGoError } from '@pingo/wire'
import {
  type Address,
  type Cell,
  type Contract,
  type ContractProvider,
  contractAddress,
  type Sender,
  SendMode,
} from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import { isSafeKey } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import type { Voucher } from '../voucher/voucher.ts'
import { sendBody } from './send.ts'

/** GRAM that a contract of payments takes along when it is deployed: its rent for years. */
export const PAY_DEPLOY_VALUE = 50_000_000n
/** GRAM that goes with a funding as its notification (`forwardAmount`); what isn't needed comes back. */
export const FUNDING_FORWARD = 50_000_000n
/** GRAM that a message takes along which pays once, or twice; what is left comes back. */
export const PAY_ONCE_VALUE = 50_000_000n
export const PAY_TWICE_VALUE = 100_000_000n

/** A payer gives the payee this long to claim, seconds. */
export const MIN_CHALLENGE_SECONDS = 3600

/** What fixes a channel: the same words give the same address. */
export interface VoucherChannelConfig {
  /** PINGO's minter. */
  minter: Address
  /** Gets back what is not claimed, and may begin to close. */
  payer: Address
  payee: Address
  /** Ed25519 key that signs vouchers, 32 bytes. */
  payerKey: Buffer
  /** Global id of the chain: -239 mainnet, -3 testnet. */
  network: number
  /** After this the rest returns to the payer, seconds since 1970. */
  expiresAt: number
  /** How long the payee may still claim after the payer has begun to close. */
  challengeSeconds: number
  /** Tells apart channels of the same parties. */
  id: bigint
}

/** A voucher channel (`contracts/pay/channel.tolk`): one payer, one payee, any number of payments, one claim. */
export class VoucherChannel implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  /** @throws PinGoError CHAIN_TERMS when the terms could not work or are not safe */
  static fromConfig(config: VoucherChannelConfig): VoucherChannel {
    const { minter, payer, payee, payerKey, network, expiresAt, challengeSeconds, id } = config
    assertParties(payer, payee, [payerKey])
    if (challengeSeconds < MIN_CHALLENGE_SECONDS) throw badTerms('the payee needs an hour at least to claim')
    const init = {
      code: codeOf('voucher-channel'),
      data: encode(schema.ChannelStorage, {
        funded: 0n,
        claimed: 0n,
        returned: 0n,
        endsAt: expiresAt,
        wallet: null,
        terms: {
          payer,
          payee,
          payerKey: keyNumber(payerKey),
          network,
          challengeSeconds,
          id,
          token: { minter, walletCode: codeOf('pingo-wallet') },
        },
      }),
    }
    return new VoucherChannel(contractAddress(0, init), init)
  }

  /** To be done before the first funding: PINGO that come before are not in the books. */
  async sendDeploy(provider: ContractProvider, via: Sender, value = PAY_DEPLOY_VALUE): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** Pays the payee what the voucher says, less what was paid before. Anyone may send it. */
  async sendClaim(provider: ContractProvider, via: Sender, voucher: Claimable, value = PAY_ONCE_VALUE): Promise<void> {
    await sendBody(provider, via, value, claimBody(voucher))
  }

  /** By the payer: the challenge window begins. By the payee: the channel ends at once; claim first. */
  async sendClose(provider: ContractProvider, via: Sender, value = PAY_ONCE_VALUE): Promise<void> {
    const body = encode(schema.CloseChannel, { queryId: 0n })
    await provider.internal(via, { value, sendMode: SendMode.PAY_GAS_SEPARATELY, body })
  }

  /** After the end: the rest returns to the payer. Anyone may send it. */
  async sendSettle(provider: ContractProvider, via: Sender, value = PAY_ONCE_VALUE): Promise<void> {
    const body = encode(schema.SettleChannel, { queryId: 0n })
    await provider.internal(via, { value, sendMode: SendMode.PAY_GAS_SEPARATELY, body })
  }

  /** Totals of the channel's life, its end, and its terms. */
  async getChannelData(provider: ContractProvider) {
    const { stack } = await provider.get('get_channel_data', [])
    return {
      funded: stack.readBigNumber(),
      claimed: stack.readBigNumber(),
      returned: stack.readBigNumber(),
      endsAt: stack.readNumber(),
      payer: stack.readAddress(),
      payee: stack.readAddress(),
      payerKey: keyBytes(stack.readBigNumber()),
      network: stack.readNumber(),
      challengeSeconds: stack.readNumber(),
      id: stack.readBigNumber(),
    }
  }
}

/** What of a voucher goes to the chain. */
export type Claimable = Pick<Voucher, 'amount' | 'signature'>

/** The body of a claim by a channel's or an escrow's voucher. */
export function claimBody({ amount, signature }: Claimable, queryId = 0n): Cell {
  return encode(schema.ClaimVoucher, { queryId, amount, signature })
}

/** A public key as the TVM has it. */
export const keyNumber = (key: Buffer): bigint => BigInt(`0x${key.toString('hex')}`)

/** A public key as bytes. */
export const keyBytes = (key: bigint): Buffer => Buffer.from(key.toString(16).padStart(64, '0'), 'hex')

export const badTerms = (why: string): PinGoError => new PinGoError('CHAIN_TERMS', `these terms are refused: ${why}`)

/** Checks what contracts of payments cannot check themselves before there is money in them. */
export function assertParties(payer: Address, payee: Address, keys: readonly Buffer[]): void {
  if (payer.workChain !== 0 || payee.workChain !== 0) throw badTerms('both parties must be in the base workchain')
  if (payer.equals(payee)) throw badTerms('payer and payee are one')
  for (const key of keys) if (!isSafeKey(key)) throw badTerms('with one of the keys anybody could sign')
}
