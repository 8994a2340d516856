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
import type { Signer } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import {
  assertParties,
  badTerms,
  type Claimable,
  claimBody,
  keyBytes,
  keyNumber,
  PAY_DEPLOY_VALUE,
  PAY_ONCE_VALUE,
  PAY_TWICE_VALUE,
} from './voucher-channel.ts'

/** What fixes a job's escrow: the same words give the same address. */
export interface JobEscrowConfig {
  /** PINGO's minter. */
  minter: Address
  payer: Address
  payee: Address
  /** Ed25519 key that signs vouchers, 32 bytes. */
  payerKey: Buffer
  /** Ed25519 key that signs the verdict of a dispute, 32 bytes. */
  arbiterKey: Buffer
  /** Hash of the job, 32 bytes. */
  job: Buffer
  /** Global id of the chain: -239 mainnet, -3 testnet. */
  network: number
  /** Seconds since 1970. */
  deadline: number
  /** How long after the deadline a dispute may be raised; then the rest may return to the payer. */
  disputeSeconds: number
  /** How long after a dispute the arbiter may speak; then the rest may return to the payer. */
  verdictSeconds: number
}

/** The least time for either, seconds. */
export const MIN_DISPUTE_SECONDS = 3600

/** A job's escrow (`contracts/pay/escrow.tolk`). */
export class JobEscrow implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  /** @throws PinGoError CHAIN_TERMS when the terms could not work or are not safe */
  static fromConfig(config: JobEscrowConfig): JobEscrow {
    const { minter, payer, payee, payerKey, arbiterKey, job, network, deadline, disputeSeconds, verdictSeconds } =
      config
    assertParties(payer, payee, [payerKey, arbiterKey])
    if (Math.min(disputeSeconds, verdictSeconds) < MIN_DISPUTE_SECONDS)
      throw badTerms('a dispute and a verdict need an hour at least')
    const init = {
      code: codeOf('job-escrow'),
      data: encode(schema.JobStorage, {
        funded: 0n,
        released: 0n,
        refunded: 0n,
        granted: 0n,
        disputedAt: 0,
        isDecided: false,
        wallet: null,
        terms: {
          payer,
          payee,
          job: keyNumber(job),
          network,
          deadline,
          disputeSeconds,
          verdictSeconds,
          keys: { payerKey: keyNumber(payerKey), arbiterKey: keyNumber(arbiterKey) },
          token: { minter, walletCode: codeOf('pingo-wallet') },
        },
      }),
    }
    return new JobEscrow(contractAddress(0, init), init)
  }

  /** To be done before the first funding: PINGO that come before are not in the books. */
  async sendDeploy(provider: ContractProvider, via: Sender, value = PAY_DEPLOY_VALUE): Promise<void> {
    await send(provider, via, encode(schema.TopUp, {}), value)
  }

  /** Pays the payee by a voucher of the payer. Anyone may send it. */
  async sendRelease(
    provider: ContractProvider,
    via: Sender,
    voucher: Claimable,
    value = PAY_ONCE_VALUE,
  ): Promise<void> {
    await send(provider, via, claimBody(voucher), value)
  }

  /** By payer or payee, until the rest may return: it waits for the arbiter then. Vouchers stay good. */
  async sendDispute(provider: ContractProvider, via: Sender, value = PAY_ONCE_VALUE): Promise<void> {
    await send(provider, via, encode(schema.RaiseDispute, { queryId: 0n }), value)
  }

  /** Divides the budget by the arbiter's word (`signJobVerdict`). Anyone may send it. */
  async sendVerdict(
    provider: ContractProvider,
    via: Sender,
    { payeeTotal, signature }: { payeeTotal: bigint; signature: Buffer },
    value = PAY_TWICE_VALUE,
  ): Promise<void> {
    await send(provider, via, encode(schema.GiveVerdict, { queryId: 0n, payeeTotal, signature }), value)
  }

  /** The rest returns to the payer: when its time has come, or when the payee asks for it. */
  async sendRefund(provider: ContractProvider, via: Sender, value = PAY_TWICE_VALUE): Promise<void> {
    await send(provider, via, encode(schema.RefundJob, { queryId: 0n }), value)
  }

  /** Totals of the escrow's life, where it stands, and its terms. */
  async getJobData(provider: ContractProvider) {
    const { stack } = await provider.get('get_job_data', [])
    return {
      funded: stack.readBigNumber(),
      released: stack.readBigNumber(),
      refunded: stack.readBigNumber(),
      granted: stack.readBigNumber(),
      disputedAt: stack.readNumber(),
      isDecided: stack.readBoolean(),
      payer: stack.readAddress(),
      payee: stack.readAddress(),
      job: keyBytes(stack.readBigNumber()),
      network: stack.readNumber(),
      deadline: stack.readNumber(),
      refundableAt: stack.readNumber(),
      payerKey: keyBytes(stack.readBigNumber()),
      arbiterKey: keyBytes(stack.readBigNumber()),
    }
  }
}

/** The arbiter's word on a job: `payeeTotal` of its budget is the payee's, with what was released before. */
export function signJobVerdict(
  verdict: { network: number; contract: Address; job: Buffer; payeeTotal: bigint },
  arbiter: Signer,
): Buffer {
  return arbiter.sign(encode(schema.JobVerdict, { ...verdict, job: keyNumber(verdict.job) }).hash())
}

const send = (provider: ContractProvider, via: Sender, body: Cell, value: bigint): Promise<void> =>
  provider.internal(via, { value, sendMode: SendMode.PAY_GAS_SEPARATELY, body })
