import {
  type Address,
  beginCell,
  type Cell,
  type Contract,
  type ContractProvider,
  contractAddress,
  Dictionary,
  type Sender,
} from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import { keyOf } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { decode, dictRoot, encode } from '../schema/index.ts'
import { encodeMetadata, type TokenMetadata } from '../token/metadata.ts'
import { sendBody } from './send.ts'

/** The level of a credit: 1 from `unit` on, and one more whenever it doubles; 0 is no pass. The same as the collection's. */
export function levelOf(credit: bigint, unit: bigint): number {
  const times = credit / unit
  return times === 0n ? 0 : times.toString(2).length
}

/** What fixes the collection of passes: the same words give the same address. */
export interface CollectionConfig {
  /** Sets roots and revokes passes. */
  authority: Address
  /** Credit of level 1. */
  unit: bigint
  collection: TokenMetadata
  /** What wallets show of a pass, by its level; a level that is missing shows the collection's. */
  levels: ReadonlyMap<number, TokenMetadata>
}

/** GRAM that a claim takes along: its fees, and the pass's rent for years. Of more, the rest comes back. */
export const CLAIM_PASS_VALUE = 2n ** 25n

/** The collection of contributors' passes (`contracts/pass/contributor-collection.tolk`). TEP-62, TEP-66. */
export class ContributorCollection implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  static fromConfig({ authority, unit, collection, levels }: CollectionConfig): ContributorCollection {
    const contents = Dictionary.empty(Dictionary.Keys.Uint(8), Dictionary.Values.Cell())
    for (const [level, metadata] of levels) contents.set(level, encodeMetadata(metadata))
    const init = {
      code: codeOf('contributor-collection'),
      data: encode(schema.ContributorCollectionStorage, {
        root: 0n,
        unit,
        passCode: codeOf('contributor-pass'),
        config: { content: encodeMetadata(collection), passContents: dictRoot(contents) },
        epoch: 0,
        authority,
      }),
    }
    return new ContributorCollection(contractAddress(0, init), init)
  }

  async sendDeploy(provider: ContractProvider, via: Sender, value = 100_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** The sender claims its pass, or raises it: `CreditTree.proof` of the sender's credit. */
  async sendClaim(provider: ContractProvider, via: Sender, proof: Cell, value = CLAIM_PASS_VALUE): Promise<void> {
    await sendBody(provider, via, value, encode(schema.ClaimPass, { queryId: 0n, proof }))
  }

  /** The authority sets the next epoch's tree of credit; `root` of 32 bytes. */
  async sendSetRoot(
    provider: ContractProvider,
    via: Sender,
    epoch: number,
    root: Buffer,
    value = 50_000_000n,
  ): Promise<void> {
    await sendBody(
      provider,
      via,
      value,
      encode(schema.SetCreditRoot, { queryId: 0n, epoch, root: BigInt(`0x${root.toString('hex')}`) }),
    )
  }

  /** TEP-62 `get_collection_data`; the owner is the authority. */
  async getCollectionData(provider: ContractProvider) {
    const { stack } = await provider.get('get_collection_data', [])
    return { nextItemIndex: stack.readBigNumber(), content: stack.readCell(), owner: stack.readAddress() }
  }

  /** TEP-62 `get_nft_address_by_index`: the chain's word; `ContributorPass.of` computes the same here. */
  async getNftAddressByIndex(provider: ContractProvider, index: bigint): Promise<Address> {
    const { stack } = await provider.get('get_nft_address_by_index', [{ type: 'int', value: index }])
    return stack.readAddress()
  }

  /** TEP-62 `get_nft_content`. */
  async getNftContent(provider: ContractProvider, index: bigint, individual: Cell): Promise<Cell> {
    const { stack } = await provider.get('get_nft_content', [
      { type: 'int', value: index },
      { type: 'cell', cell: individual },
    ])
    return stack.readCell()
  }

  /** TEP-66 `royalty_params`: none. */
  async getRoyaltyParams(provider: ContractProvider) {
    const { stack } = await provider.get('royalty_params', [])
    return { numerator: stack.readNumber(), denominator: stack.readNumber(), destination: stack.readAddress() }
  }

  /** The present tree of credit, and the unit of level 1. */
  async getCreditData(provider: ContractProvider) {
    const { stack } = await provider.get('get_credit_data', [])
    return {
      epoch: stack.readNumber(),
      root: stack.readBigNumber(),
      unit: stack.readBigNumber(),
      authority: stack.readAddress(),
      passCode: stack.readCell(),
    }
  }
}

/** Bits of a `PassBirth`. */
const PASS_BIRTH_BITS = 256 + 267

/** Index of an owner's pass: the hash of its address in the base workchain. */
export function passIndexOf(owner: Address): bigint {
  return BigInt(`0x${keyOf(owner).toString('hex')}`)
}

/** What the data of a pass say; before it was minted, no level and no epoch. @throws PinGoError CHAIN_LAYOUT when it is no pass's. */
export function readPass(data: Cell) {
  if (data.bits.length === PASS_BIRTH_BITS)
    return { ...decode(schema.PassBirth, data), level: 0, authority: null, epoch: 0, revokedAt: 0 }
  const { revocation, ...minted } = decode(schema.ContributorPassStorage, data)
  return { ...minted, revokedAt: revocation.remainingBits > 0 ? revocation.loadUint(64) : 0 }
}

/** A contributor's pass (`contracts/pass/contributor-pass.tolk`). TEP-62, TEP-85. */
export class ContributorPass implements Contract {
  readonly address: Address

  constructor(address: Address) {
    this.address = address
  }

  /** The pass of an owner, computed here: nobody need be asked. */
  static of(collection: Address, owner: Address): ContributorPass {
    const data = encode(schema.PassBirth, { index: passIndexOf(owner), collection })
    return new ContributorPass(contractAddress(0, { code: codeOf('contributor-pass'), data }))
  }

  /** TEP-85: the owner has the pass tell `destination` that it is the owner's. */
  async sendProveOwnership(
    provider: ContractProvider,
    via: Sender,
    proof: { destination: Address; data: Cell; withContent: boolean },
    value = 60_000_000n,
  ): Promise<void> {
    await sendBody(
      provider,
      via,
      value,
      encode(schema.ProveOwnership, {
        queryId: 0n,
        destination: proof.destination,
        forwardPayload: proof.data,
        withContent: proof.withContent,
      }),
    )
  }

  /** TEP-85: anyone has the pass tell `destination` whose it is. */
  async sendRequestOwner(
    provider: ContractProvider,
    via: Sender,
    request: { destination: Address; data: Cell; withContent: boolean },
    value = 60_000_000n,
  ): Promise<void> {
    await sendBody(
      provider,
      via,
      value,
      encode(schema.RequestOwner, {
        queryId: 0n,
        destination: request.destination,
        forwardPayload: request.data,
        withContent: request.withContent,
      }),
    )
  }

  /** TEP-85: the owner ends its pass. */
  async sendDestroy(provider: ContractProvider, via: Sender, value = 50_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.DestroyPass, { queryId: 0n }))
  }

  /** The owner takes the GRAM that is above the pass's rent. */
  async sendTakeExcess(provider: ContractProvider, via: Sender, value = 50_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TakeExcess, { queryId: 0n }))
  }

  /** TEP-85: the authority revokes the pass, for ever. */
  async sendRevoke(provider: ContractProvider, via: Sender, value = 50_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.RevokePass, { queryId: 0n }))
  }

  /** TEP-62 `get_nft_data`, with the individual content read. */
  async getNftData(provider: ContractProvider) {
    const { stack } = await provider.get('get_nft_data', [])
    const data = {
      isInitialized: stack.readBoolean(),
      index: stack.readBigNumber(),
      collection: stack.readAddress(),
      owner: stack.readAddressOpt(),
    }
    const content = stack.readCellOpt()
    return { ...data, content: content && decode(schema.PassContent, content) }
  }

  /** TEP-85 `get_authority_address`. */
  async getAuthorityAddress(provider: ContractProvider): Promise<Address | null> {
    return (await provider.get('get_authority_address', [])).stack.readAddressOpt()
  }

  /** TEP-85 `get_revoked_time`: seconds since 1970, 0 while it is not revoked. */
  async getRevokedTime(provider: ContractProvider): Promise<number> {
    return (await provider.get('get_revoked_time', [])).stack.readNumber()
  }

  /** Level (0: none), the epoch that showed it, and when it was revoked (0: not). */
  async getPassData(provider: ContractProvider) {
    const { stack } = await provider.get('get_pass_data', [])
    return { level: stack.readNumber(), epoch: stack.readNumber(), revokedAt: stack.readNumber() }
  }
}

/** A gate that lets pass holders in (`contracts/pass/access-gate.tolk`). */
export class AccessGate implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  static fromConfig(config: { collection: Address; minLevel: number; grantSeconds: number }): AccessGate {
    const init = {
      code: codeOf('access-gate'),
      data: encode(schema.AccessGateStorage, {
        ...config,
        passCode: codeOf('contributor-pass'),
        grants: null,
        grantsCount: 0,
      }),
    }
    return new AccessGate(contractAddress(0, init), init)
  }

  async sendDeploy(provider: ContractProvider, via: Sender, value = 100_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** The `data` that an owner puts into its ownership proof for this gate. */
  request(nonce: bigint, validUntil: number): Cell {
    return encode(schema.GateRequest, { gate: this.address, nonce, validUntil })
  }

  /** Which collection, from which level on, for how long. */
  async getGateData(provider: ContractProvider) {
    const { stack } = await provider.get('get_gate_data', [])
    return {
      collection: stack.readAddress(),
      minLevel: stack.readNumber(),
      grantSeconds: stack.readNumber(),
      grants: stack.readNumber(),
    }
  }

  /** Until when an owner is let in (seconds since 1970, 0: not), and the nonce of its last proof. */
  async getGrant(provider: ContractProvider, owner: Address): Promise<{ until: number; nonce: bigint }> {
    const { stack } = await provider.get('get_grant', [
      { type: 'slice', cell: beginCell().storeAddress(owner).endCell() },
    ])
    return { until: stack.readNumber(), nonce: stack.readBigNumber() }
  }
}
