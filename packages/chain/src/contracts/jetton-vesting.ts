import { type Address, type Cell, type Contract, type ContractProvider, contractAddress, type Sender } from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import type { VestingSchedule } from '../token/vesting.ts'
import type { JettonKind } from './jetton.ts'
import { sendBody } from './send.ts'

/** What fixes a vesting contract: the same words give the same address. */
export interface JettonVestingConfig extends VestingSchedule {
  kind: JettonKind
  minter: Address
  beneficiary: Address
}

/** A vesting contract (`contracts/token/jetton-vesting.tolk`). */
export class JettonVesting implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  static fromConfig({ kind, minter, beneficiary, total, start, cliff, duration }: JettonVestingConfig): JettonVesting {
    const walletCode = codeOf(kind === 'pingo' ? 'pingo-wallet' : 'meme-wallet')
    const init = {
      code: codeOf(kind === 'pingo' ? 'jetton-vesting' : 'meme-vesting'),
      data: encode(schema.JettonVestingStorage, {
        released: 0n,
        wallet: null,
        config: { minter, walletCode, beneficiary, total, start, cliff, duration },
      }),
    }
    return new JettonVesting(contractAddress(0, init), init)
  }

  async sendDeploy(provider: ContractProvider, via: Sender, value = 50_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** Pays the beneficiary what is vested; anyone may send it. */
  async sendRelease(provider: ContractProvider, via: Sender, value = 100_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.Release, { queryId: 0n }))
  }

  /** The schedule, and what of it is vested and released; amounts in units. */
  async getVestingData(provider: ContractProvider) {
    const { stack } = await provider.get('get_vesting_data', [])
    return {
      beneficiary: stack.readAddress(),
      total: stack.readBigNumber(),
      start: stack.readNumber(),
      cliff: stack.readNumber(),
      duration: stack.readNumber(),
      released: stack.readBigNumber(),
      vested: stack.readBigNumber(),
    }
  }
}
