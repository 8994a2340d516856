import { PinGoError } from '@pingo/wire'
import { type Address, type Cell, type Contract, type ContractProvider, contractAddress, type Sender } from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import { type EmissionCurve, EPOCH_SECONDS, FULL_FEE_SHARE } from '../token/emission.ts'
import { sendBody } from './send.ts'

/** What fixes a vault: the same words give the same address. */
export interface EmissionVaultConfig extends EmissionCurve {
  /** PINGO's minter. */
  minter: Address
  distributor: Address
  /** Units that genesis gives it. */
  amount: bigint
  /** What the first epoch releases without fees; declines with the curve. */
  floor: bigint
  /** When epoch 0 begins, seconds since 1970. */
  start: number
  epochSeconds?: number
}

/** GRAM that a release takes along; what is left comes back. */
export const RELEASE_VALUE = 150_000_000n

/** Epochs that one message may release. */
export const MOST_EPOCHS = 32

/** An emission vault (`contracts/token/emission-vault.tolk`). */
export class EmissionVault implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  /** @throws PinGoError CHAIN_CONFIG when a unit of fees would release more than itself. */
  static fromConfig(config: EmissionVaultConfig): EmissionVault {
    if (config.feeShare > FULL_FEE_SHARE) {
      throw new PinGoError(
        'CHAIN_CONFIG',
        'a vault may release at most a unit for each unit of fees, or paying oneself would pay',
      )
    }
    const init = {
      code: codeOf('emission-vault'),
      data: encode(schema.EmissionVaultStorage, {
        rest: config.amount,
        fees: 0n,
        floor: config.floor,
        epoch: 0,
        wallet: null,
        config: {
          minter: config.minter,
          walletCode: codeOf('pingo-wallet'),
          distributor: config.distributor,
          start: config.start,
          epochSeconds: config.epochSeconds ?? EPOCH_SECONDS,
          decay: config.decay,
          feeShare: Number(config.feeShare),
        },
      }),
    }
    return new EmissionVault(contractAddress(0, init), init)
  }

  async sendDeploy(provider: ContractProvider, via: Sender, value = 50_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** Releases up to `most` epochs that have ended; anyone may send it. */
  async sendRelease(provider: ContractProvider, via: Sender, most = 1, value = RELEASE_VALUE): Promise<void> {
    await sendBody(provider, via, value, encode(schema.ReleaseEpochs, { queryId: 0n, most }))
  }

  /** Where the vault stands in its curve; amounts in units. */
  async getVaultData(provider: ContractProvider) {
    const { stack } = await provider.get('get_vault_data', [])
    return {
      rest: stack.readBigNumber(),
      fees: stack.readBigNumber(),
      floor: stack.readBigNumber(),
      epoch: stack.readNumber(),
      distributor: stack.readAddress(),
      start: stack.readNumber(),
      epochSeconds: stack.readNumber(),
      decay: stack.readBigNumber(),
      feeShare: stack.readBigNumber(),
    }
  }
}
