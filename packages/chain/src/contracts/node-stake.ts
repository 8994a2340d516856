import {
  type Address,
  type Cell,
  type Contract,
  type ContractProvider,
  contractAddress,
  Dictionary,
  type Sender,
  SendMode,
} from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import { isSafeKey, type Signer } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { decode, encode } from '../schema/index.ts'
import { badTerms, keyBytes, keyNumber, PAY_ONCE_VALUE, PAY_TWICE_VALUE } from './voucher-channel.ts'

/** What fixes a stake contract: the same words give the same address. */
export interface NodeStakeConfig {
  /** PINGO's minter. */
  minter: Address
  /** Where lost bonds go. */
  treasury: Address
  /** Ed25519 key whose signature takes part of a bond, 32 bytes. */
  arbiterKey: Buffer
  /** Id of the network whose votes count as evidence. */
  network: number
  /** Least bond of a node, nano-PINGO. */
  minBond: bigint
  /** Seconds between asking for a bond and having it. */
  unbondSeconds: number
  /** Ten-thousandths of a lost bond that go to whoever showed it. */
  bountyParts: number
}

/** Nodes at most, and keys that are out for good: `contracts/pay/stake.tolk` has the same figures. */
export const MAX_NODES = 64
export const MAX_SLASHED = 1024

export const MIN_UNBOND_SECONDS = 3600
/** A larger bounty would let a node that is about to be caught save its bond by showing itself. */
export const MAX_BOUNTY_PARTS = 2000

/** GRAM that the contract takes along when it is deployed: the rent of a full table for years. */
export const STAKE_DEPLOY_VALUE = 1_050_000_000n

/** Kinds of votes on the fog nodes' chain. */
export const VOTE = { notarise: 1, finalise: 2, skip: 3 } as const

/** What a node votes for. `hash` is that of the block, 32 bytes; zeros for a skip. */
export interface NodeVote {
  slot: bigint
  kind: (typeof VOTE)[keyof typeof VOTE]
  hash: Buffer
}

/** A vote and its signature, 64 bytes. */
export interface SignedNodeVote extends NodeVote {
  signature: Buffer
}

/** A node's bond. */
export interface StakedNode {
  owner: Address
  bonded: bigint
  unbonding: bigint
  /** When the unbonding part is free, seconds since 1970. */
  unlocksAt: number
  /** When it was first bonded, seconds since 1970. */
  since: number
  /** Verdicts that it has lost. */
  verdicts: number
}

/** The bonds of the nodes that keep the fog nodes' chain (`contracts/pay/stake.tolk`). */
export class NodeStake implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  /** @throws PinGoError CHAIN_TERMS when the terms could not work or are not safe */
  static fromConfig(config: NodeStakeConfig): NodeStake {
    const { minter, treasury, arbiterKey, network, minBond, unbondSeconds, bountyParts } = config
    if (treasury.workChain !== 0) throw badTerms('the treasury must be in the base workchain')
    if (!isSafeKey(arbiterKey)) throw badTerms('with the arbiter’s key anybody could sign')
    if (unbondSeconds < MIN_UNBOND_SECONDS) throw badTerms('a bond needs an hour at least to unbond')
    if (bountyParts < 0 || bountyParts > MAX_BOUNTY_PARTS) throw badTerms('the bounty is a fifth at most')
    if (minBond <= 0n) throw badTerms('a bond must be worth something')
    const init = {
      code: codeOf('node-stake'),
      data: encode(schema.StakeStorage, {
        nodeCount: 0,
        slashedCount: 0,
        nodes: null,
        slashed: null,
        owed: null,
        wallet: null,
        terms: {
          treasury,
          arbiterKey: keyNumber(arbiterKey),
          network,
          minBond,
          unbondSeconds,
          bountyParts,
          token: { minter, walletCode: codeOf('pingo-wallet') },
        },
      }),
    }
    return new NodeStake(contractAddress(0, init), init)
  }

  async sendDeploy(provider: ContractProvider, via: Sender, value = STAKE_DEPLOY_VALUE): Promise<void> {
    await send(provider, via, encode(schema.TopUp, {}), value)
  }

  /** By the owner: `amount` no longer counts, and is free after `unbondSeconds`. A second request begins the time anew for both. */
  async sendUnbond(
    provider: ContractProvider,
    via: Sender,
    key: Buffer,
    amount: bigint,
    value = PAY_ONCE_VALUE,
  ): Promise<void> {
    await send(provider, via, encode(schema.UnbondNode, { queryId: 0n, key: keyNumber(key), amount }), value)
  }

  /** By the owner: pays out what has unbonded. */
  async sendWithdraw(provider: ContractProvider, via: Sender, key: Buffer, value = PAY_ONCE_VALUE): Promise<void> {
    await send(provider, via, encode(schema.WithdrawBond, { queryId: 0n, key: keyNumber(key) }), value)
  }

  /** Pays to `to` what came back when it was first paid. Anyone may send it. */
  async sendCollect(provider: ContractProvider, via: Sender, to: Address, value = PAY_ONCE_VALUE): Promise<void> {
    await send(provider, via, encode(schema.CollectOwed, { queryId: 0n, to }), value)
  }

  /** Two votes that contradict each other: the node loses all. Anyone may send it; the bounty goes to the sender. */
  async sendEquivocation(
    provider: ContractProvider,
    via: Sender,
    evidence: { key: Buffer; first: SignedNodeVote; second: SignedNodeVote },
    value = PAY_TWICE_VALUE,
  ): Promise<void> {
    const body = encode(schema.SlashEquivocation, {
      queryId: 0n,
      key: keyNumber(evidence.key),
      first: { ...evidence.first, hash: keyNumber(evidence.first.hash) },
      second: { ...evidence.second, hash: keyNumber(evidence.second.hash) },
    })
    await send(provider, via, body, value)
  }

  /** A lost dispute, by the arbiter's word (`signStakeVerdict`). Anyone may send it; the bounty goes to the sender. */
  async sendVerdict(
    provider: ContractProvider,
    via: Sender,
    verdict: { key: Buffer; number: number; amount: bigint; signature: Buffer },
    value = PAY_TWICE_VALUE,
  ): Promise<void> {
    const body = encode(schema.SlashByVerdict, { queryId: 0n, ...verdict, key: keyNumber(verdict.key) })
    await send(provider, via, body, value)
  }

  /** The table of nodes by public key (hexadecimal), what is owed, and the terms. */
  async getStakeData(provider: ContractProvider) {
    const { stack } = await provider.get('get_stake_data', [])
    return {
      nodeCount: stack.readNumber(),
      slashedCount: stack.readNumber(),
      nodes: readNodes(stack.readCellOpt()),
      owed: readOwed(stack.readCellOpt()),
      treasury: stack.readAddress(),
      arbiterKey: keyBytes(stack.readBigNumber()),
      network: stack.readNumber(),
      minBond: stack.readBigNumber(),
      unbondSeconds: stack.readNumber(),
      bountyParts: stack.readNumber(),
    }
  }

  /** Whether a key has lost all of a bond and is out for good. */
  async getIsSlashed(provider: ContractProvider, key: Buffer): Promise<boolean> {
    const { stack } = await provider.get('get_is_slashed', [{ type: 'int', value: keyNumber(key) }])
    return stack.readBoolean()
  }
}

/** The payload of a transfer that bonds PINGO for a node: its key must agree that `owner`, who sends it, bonds for it. */
export function bondPayload(stake: { network: number; contract: Address; owner: Address }, node: Signer): Cell {
  const signature = node.sign(encode(schema.NodeConsent, stake).hash())
  return encode(schema.BondNode, { key: keyNumber(node.publicKey), signature })
}

/** A vote, signed by its node. */
export function signVote(network: number, vote: NodeVote, node: Signer): SignedNodeVote {
  const cell = encode(schema.Vote, { network, ...vote, hash: keyNumber(vote.hash) })
  return { ...vote, signature: node.sign(cell.hash()) }
}

/** The arbiter's word on a node. `since` and `number` (its verdicts so far + 1) bind it to this bond and to one use. */
export function signStakeVerdict(
  verdict: { network: number; contract: Address; key: Buffer; since: number; number: number; amount: bigint },
  arbiter: Signer,
): Buffer {
  return arbiter.sign(encode(schema.StakeVerdict, { ...verdict, key: keyNumber(verdict.key) }).hash())
}

function readNodes(root: Cell | null): Map<string, StakedNode> {
  const table = Dictionary.loadDirect(
    Dictionary.Keys.BigUint(256),
    {
      serialize: () => {
        throw new Error('the table is read only')
      },
      parse: (slice) => decode(schema.StakedNode, slice),
    },
    root,
  )
  return new Map(table.keys().map((key) => [keyBytes(key).toString('hex'), table.get(key) as StakedNode]))
}

function readOwed(root: Cell | null): Map<string, bigint> {
  const table = Dictionary.loadDirect(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4), root)
  return new Map(table.keys().map((key) => [`0:${keyBytes(key).toString('hex')}`, table.get(key) as bigint]))
}

const send = (provider: ContractProvider, via: Sender, body: Cell, value: bigint): Promise<void> =>
  provider.internal(via, { value, sendMode: SendMode.PAY_GAS_SEPARATELY, body })
