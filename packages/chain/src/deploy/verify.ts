import { type Address, Dictionary, type Transaction } from '@ton/core'
import { JettonWallet } from '../contracts/jetton.ts'
import { open } from '../endpoint/open.ts'
import type { ChainEndpoint } from '../endpoint/port.ts'
import * as schema from '../schema/index.ts'
import { decode, opOf } from '../schema/index.ts'
import { decayFor, fullCurve, HALF_LIFE_EPOCHS } from '../token/emission.ts'
import { SPLIT, SUPPLY } from '../token/split.ts'
import type { Deployment } from './plan.ts'

/** One thing that was recomputed from the chain's state. */
export interface Check {
  what: string
  holds: boolean
  /** What was found. */
  found: string
}

/**
 * Recomputes everything about PINGO from the state of the chain: that each contract is the one its sources compile to, that the supply was
 * minted once, to whom, and can't be again, that vaults have released no more than the curve lets and hold the rest, that vestings follow
 * their schedules.
 */
export async function verifyDeployment(
  endpoint: ChainEndpoint,
  deployment: Deployment,
  options: { signal?: AbortSignal } = {},
): Promise<Check[]> {
  const checks: Check[] = []
  const check = (what: string, holds: boolean, found: unknown) => checks.push({ what, holds, found: String(found) })
  for (const { name, contract } of deployment.contracts) {
    const { status, code } = await endpoint.account(contract.address, options)
    check(
      `${name} has the code of its sources`,
      code !== null && contract.init !== undefined && code.equals(contract.init.code),
      code ? code.hash().toString('hex') : status,
    )
  }
  if (checks.some(({ holds }) => !holds)) return checks

  const { supply, mintable, admin } = await open(endpoint, deployment.minter).getJettonData()
  check('the supply is what genesis minted, less what owners burnt', supply > 0n && supply <= SUPPLY, supply)
  check('nobody can mint', !mintable && admin === null, admin ?? 'no admin')

  const genesis = await genesisTable(endpoint, deployment.minter.address, options)
  check(
    'genesis minted to the published holders',
    genesis !== undefined && sameTable(genesis, deployment.holders),
    genesis ? `${genesis.size} holders` : 'not found in the history',
  )

  for (const holder of ['platform', 'cdn'] as const) {
    const vault = deployment.vaults[holder]
    const { rest, epoch, floor } = await open(endpoint, vault).getVaultData()
    const amount = amountOf(holder)
    const wallet = await balanceOf(endpoint, deployment.minter.address, vault.address)
    check(`${holder} vault: its wallet holds what it says is left`, wallet >= rest, `${wallet} of ${rest}`)
    const most = fullCurve(amount, decayFor(HALF_LIFE_EPOCHS), epoch).at(-1) ?? 0n
    check(
      `${holder} vault: no more was released than the curve lets in ${epoch} epochs`,
      amount - rest <= most,
      `${amount - rest} of ${most}`,
    )
    check(`${holder} vault: the floor has only declined`, floor <= deployment.config.floor, floor)
  }
  for (const holder of ['institutional', 'team'] as const) {
    const vesting = deployment.vestings[holder]
    const { released, vested, total } = await open(endpoint, vesting).getVestingData()
    const wallet = await balanceOf(endpoint, deployment.minter.address, vesting.address)
    check(
      `${holder}: released no more than is vested, and holds the rest`,
      released <= vested && wallet >= total - released,
      `${released} of ${vested}`,
    )
  }
  for (const name of ['rewards', 'airdrop'] as const) {
    const { funded, paid, promised } = await open(endpoint, deployment[name]).getDistributorData()
    const wallet = await balanceOf(endpoint, deployment.minter.address, deployment[name].address)
    check(
      `${name}: pays and promises no more than came in, and holds the rest`,
      paid <= funded && promised <= funded && wallet >= funded - paid,
      `${paid} of ${funded}`,
    )
  }
  return checks
}

async function balanceOf(endpoint: ChainEndpoint, minter: Address, owner: Address): Promise<bigint> {
  const wallet = JettonWallet.of('pingo', minter, owner)
  if ((await endpoint.account(wallet.address)).status !== 'active') return 0n
  return (await open(endpoint, wallet).getWalletData()).balance
}

const PAGE = 50
const MOST_PAGES = 40

/** The table of holders in the minter's genesis: the message that dropped its admin. */
async function genesisTable(
  endpoint: ChainEndpoint,
  minter: Address,
  options: { signal?: AbortSignal },
): Promise<Map<string, bigint> | undefined> {
  let before: { lt: bigint; hash: Buffer } | undefined
  for (let page = 0; page < MOST_PAGES; page++) {
    const found: Transaction[] = await endpoint.transactions(minter, {
      limit: PAGE,
      ...(before && { before }),
      ...options,
    })
    for (const { inMessage, description } of found) {
      if (!inMessage || opOf(inMessage.body) !== schema.Genesis.op) continue
      if (description.type !== 'generic' || description.aborted) continue
      const { holders } = decode(schema.Genesis, inMessage.body)
      if (!holders) return new Map()
      const table = Dictionary.loadDirect(Dictionary.Keys.Buffer(32), Dictionary.Values.BigVarUint(4), holders)
      return new Map([...table].map(([hash, amount]) => [hash.toString('hex'), amount]))
    }
    const last = found.at(-1)
    if (!last || found.length < PAGE) return undefined
    before = { lt: last.lt, hash: last.hash() }
  }
  return undefined
}

function sameTable(found: Map<string, bigint>, holders: ReadonlyMap<Address, bigint>): boolean {
  return (
    found.size === holders.size &&
    [...holders].every(([address, amount]) => found.get(address.hash.toString('hex')) === amount)
  )
}

function amountOf(holder: string): bigint {
  return (SPLIT.find((share) => share.holder === holder) as (typeof SPLIT)[number]).amount
}
