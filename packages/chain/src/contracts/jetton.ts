import { PinGoError } from '@pingo/wire'
import {
  Address,
  beginCell,
  type Cell,
  type Contract,
  type ContractProvider,
  contractAddress,
  Dictionary,
  type Sender,
} from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import * as schema from '../schema/index.ts'
import { dictRoot, encode, forwardPayload } from '../schema/index.ts'
import { sendBody } from './send.ts'

/** `pingo`: wallets in their owners' shard (Jetton 2.0). `meme`: plain TEP-74 addresses, for tokens that people launch. */
export type JettonKind = 'pingo' | 'meme'

/** What fixes the address of a minter: the same words give the same address. */
export interface JettonConfig {
  kind: JettonKind
  /** Units, all of which genesis mints. */
  maxSupply: bigint
  /** Who may send genesis, once. */
  admin: Address
  /** TEP-64 content: `encodeMetadata`. */
  content: Cell
}

/** GRAM that each credit of genesis carries: deploys the wallet and pays its rent for years; what it doesn't need stays there. */
export const GENESIS_VALUE_EACH = 50_000_000n

/** A jetton's minter of fixed supply (`contracts/jetton/minter.tolk`). TEP-74, TEP-89. */
export class JettonMinter implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  static fromConfig({ kind, maxSupply, admin, content }: JettonConfig): JettonMinter {
    const walletCode = codeOf(kind === 'pingo' ? 'pingo-wallet' : 'meme-wallet')
    const init = {
      code: codeOf(kind === 'pingo' ? 'pingo-minter' : 'meme-minter'),
      data: encode(schema.JettonMinterStorage, { supply: 0n, maxSupply, admin, walletCode, content }),
    }
    return new JettonMinter(contractAddress(0, init), init)
  }

  /** Deploys the minter and mints the whole supply; the admin is dropped in the same transaction. Holders must be in the base workchain. */
  async sendGenesis(provider: ContractProvider, via: Sender, holders: ReadonlyMap<Address, bigint>): Promise<void> {
    if (!via.address) throw new PinGoError('CHAIN_SENDER', 'genesis needs a sender whose address is known')
    await sendBody(
      provider,
      via,
      genesisValue(holders.size),
      encode(schema.Genesis, {
        queryId: 0n,
        respondTo: via.address,
        valueEach: GENESIS_VALUE_EACH,
        holders: holderTable(holders),
      }),
    )
  }

  /** TEP-74 `get_jetton_data`. */
  async getJettonData(provider: ContractProvider) {
    const { stack } = await provider.get('get_jetton_data', [])
    return {
      supply: stack.readBigNumber(),
      mintable: stack.readBoolean(),
      admin: stack.readAddressOpt(),
      content: stack.readCell(),
      walletCode: stack.readCell(),
    }
  }

  /** TEP-74 `get_wallet_address`: the chain's word; `walletAddress` computes the same here. */
  async getWalletAddress(provider: ContractProvider, owner: Address): Promise<Address> {
    const { stack } = await provider.get('get_wallet_address', [
      { type: 'slice', cell: beginCell().storeAddress(owner).endCell() },
    ])
    return stack.readAddress()
  }
}

/** GRAM that genesis takes along for so many holders. */
export function genesisValue(holders: number): bigint {
  return BigInt(holders) * (GENESIS_VALUE_EACH + 10_000_000n) + 200_000_000n
}

/** The table of genesis: address hash → units. @throws PinGoError CHAIN_WORKCHAIN, CHAIN_GENESIS. */
export function holderTable(holders: ReadonlyMap<Address, bigint>): Cell | null {
  const table = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4))
  for (const [holder, amount] of holders) {
    if (holder.workChain !== 0) throw new PinGoError('CHAIN_WORKCHAIN', `${holder} is not in the base workchain`)
    const key = BigInt(`0x${holder.hash.toString('hex')}`)
    if (table.has(key)) throw new PinGoError('CHAIN_GENESIS', `${holder} stands twice in the table of holders`)
    table.set(key, amount)
  }
  return dictRoot(table)
}

/** A jetton's wallet (`contracts/jetton/wallet.tolk`). TEP-74. */
export class JettonWallet implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  /** The wallet of an owner, computed here: nobody need be asked. */
  static of(kind: JettonKind, minter: Address, owner: Address): JettonWallet {
    const init = {
      code: codeOf(kind === 'pingo' ? 'pingo-wallet' : 'meme-wallet'),
      data: encode(schema.JettonWalletStorage, { balance: 0n, owner, minter }),
    }
    return new JettonWallet(walletAddress(kind, minter, owner), init)
  }

  /** Sends jettons. `forwardAmount` GRAM go with the payload to the new owner as a notification. */
  async sendTransfer(
    provider: ContractProvider,
    via: Sender,
    transfer: {
      to: Address
      amount: bigint
      value?: bigint
      forwardAmount?: bigint
      payload?: Cell | null
      respondTo?: Address | null
      queryId?: bigint
    },
  ): Promise<void> {
    await sendBody(
      provider,
      via,
      transfer.value ?? TRANSFER_VALUE + (transfer.forwardAmount ?? 0n),
      jettonTransfer({ ...transfer, respondTo: transfer.respondTo ?? via.address ?? null }),
    )
  }

  /** Destroys jettons: the supply becomes smaller. */
  async sendBurn(provider: ContractProvider, via: Sender, amount: bigint, value = TRANSFER_VALUE): Promise<void> {
    await sendBody(
      provider,
      via,
      value,
      encode(schema.JettonBurn, {
        queryId: 0n,
        amount,
        responseDestination: via.address ?? null,
        customPayload: null,
      }),
    )
  }

  /** TEP-74 `get_wallet_data`. */
  async getWalletData(provider: ContractProvider) {
    const { stack } = await provider.get('get_wallet_data', [])
    return {
      balance: stack.readBigNumber(),
      owner: stack.readAddress(),
      minter: stack.readAddress(),
      walletCode: stack.readCell(),
    }
  }
}

/** GRAM that a transfer takes along for fees and the rent of a new wallet; what is left comes back. */
export const TRANSFER_VALUE = 50_000_000n

/** The body of a transfer, TEP-74. */
export function jettonTransfer(transfer: {
  to: Address
  amount: bigint
  forwardAmount?: bigint
  payload?: Cell | null
  respondTo?: Address | null
  queryId?: bigint
}): Cell {
  return encode(schema.JettonTransfer, {
    queryId: transfer.queryId ?? 0n,
    amount: transfer.amount,
    destination: transfer.to,
    responseDestination: transfer.respondTo ?? null,
    customPayload: null,
    forwardAmount: transfer.forwardAmount ?? 0n,
    forwardPayload: forwardPayload(transfer.payload ?? null),
  })
}

/** Bits of its address that a wallet shares with its owner's; `contracts/profiles` has the same figures. */
const SHARD_DEPTH: Record<JettonKind, number> = { pingo: 8, meme: 0 }

/** The address of an owner's wallet, computed as the contracts compute it. */
export function walletAddress(kind: JettonKind, minter: Address, owner: Address): Address {
  const code = codeOf(kind === 'pingo' ? 'pingo-wallet' : 'meme-wallet')
  const data = encode(schema.JettonWalletStorage, { balance: 0n, owner, minter })
  const depth = SHARD_DEPTH[kind]
  if (depth === 0) return contractAddress(0, { code, data })
  return inShardOf(owner, contractAddress(0, { splitDepth: depth, code, data }), depth)
}

/** `address` with its first bits replaced by those of `near` (TVM 10: `fixed_prefix_length`). */
function inShardOf(near: Address, address: Address, depth: number): Address {
  const hash = Buffer.from(address.hash)
  const whole = Math.floor(depth / 8)
  near.hash.copy(hash, 0, 0, whole)
  const mask = (0xff00 >> (depth % 8)) & 0xff
  if (mask) hash[whole] = ((near.hash[whole] as number) & mask) | ((hash[whole] as number) & ~mask & 0xff)
  return new Address(0, hash)
}
