import { PinGoError } from '@pingo/wire'
import type { Sender } from '@ton/core'
import { genesisValue } from '../contracts/jetton.ts'
import { open } from '../endpoint/open.ts'
import type { ChainEndpoint } from '../endpoint/port.ts'
import { SUPPLY } from '../token/split.ts'
import { DEPLOY_BODY, type Deployed, type Deployment } from './plan.ts'

/** What one step of a deployment found or did. */
export interface DeployStep {
  name: string
  address: string
  state: 'there' | 'deployed' | 'minted'
}

/** GRAM that a deployment sends with its messages; most of it stays on the contracts as their rent. */
export async function deployCost(
  endpoint: ChainEndpoint,
  deployment: Deployment,
  options: { signal?: AbortSignal } = {},
): Promise<{ name: string; value: bigint }[]> {
  const costs: { name: string; value: bigint }[] = []
  for (const deployed of deployment.contracts) {
    if (await isThere(endpoint, deployed, options)) continue
    costs.push({
      name: deployed.name,
      value: deployed.name === 'minter' ? genesisValue(deployment.holders.size) : deployed.value,
    })
  }
  return costs
}

/**
 * Deploys what is not there yet, one contract after another, and mints at last. It keeps no journal: what is done stands on the chain, so
 * that it can be stopped at any moment and begun again.
 *
 * @param sender - the deployer's wallet; it waits until each message is done.
 * @throws PinGoError CHAIN_DEPLOY when a contract is not there after its message, or something else is at its address.
 */
export async function deploy(
  endpoint: ChainEndpoint,
  sender: Sender,
  deployment: Deployment,
  { signal, onStep }: { signal?: AbortSignal; onStep?: (step: DeployStep) => void } = {},
): Promise<DeployStep[]> {
  if (!sender.address?.equals(deployment.config.deployer)) {
    throw new PinGoError(
      'CHAIN_DEPLOY',
      `only the deployer ${deployment.config.deployer} can do this: the addresses follow from it`,
    )
  }
  const options = signal ? { signal } : {}
  const steps: DeployStep[] = []
  const done = (deployed: Deployed, state: DeployStep['state']) => {
    const step = { name: deployed.name, address: deployed.contract.address.toString(), state }
    steps.push(step)
    onStep?.(step)
  }
  for (const deployed of deployment.contracts) {
    signal?.throwIfAborted()
    if (await isThere(endpoint, deployed, options)) {
      done(deployed, 'there')
      continue
    }
    if (deployed.name === 'minter') {
      await open(endpoint, deployment.minter).sendGenesis(sender, deployment.holders)
      await assertMinted(endpoint, deployment)
      done(deployed, 'minted')
      continue
    }
    await sender.send({
      to: deployed.contract.address,
      value: deployed.value,
      bounce: false,
      init: deployed.contract.init ?? null,
      body: DEPLOY_BODY,
    })
    if (!(await isThere(endpoint, deployed, options)))
      throw new PinGoError('CHAIN_DEPLOY', `${deployed.name} was sent and is not there`)
    done(deployed, 'deployed')
  }
  return steps
}

async function assertMinted(endpoint: ChainEndpoint, { minter }: Deployment): Promise<void> {
  const { supply, mintable } = await open(endpoint, minter).getJettonData()
  if (supply !== SUPPLY || mintable) throw new PinGoError('CHAIN_DEPLOY', 'genesis did not mint the whole supply')
}

/** Whether a contract is at its address, with its code. An address says what its code and data began as: it can be nothing else. */
async function isThere(
  endpoint: ChainEndpoint,
  { contract }: Deployed,
  options: { signal?: AbortSignal },
): Promise<boolean> {
  const { status, code } = await endpoint.account(contract.address, options)
  return status === 'active' && code !== null && contract.init !== undefined && code.equals(contract.init.code)
}
