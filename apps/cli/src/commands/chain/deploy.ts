import { readFile } from 'node:fs/promises'
import type { GenesisInput } from '@pingo/chain'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { confirm } from '../../ask.ts'
import { type ChainOptions, chainCommand, withChain } from '../../chain.ts'
import { type Context, command } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { loadWallet, MAIN_WALLET, type WalletOptions, withKey, withPassphrase } from '../wallet/wallet-file.ts'
import { bookFile, writeBook } from './book.ts'

interface DeployOptions extends WalletOptions, ChainOptions {
  config?: string
  printConfig?: boolean
  yes?: boolean
}

export function deployCommand({ signal }: Context): Command {
  return chainCommand(
    withPassphrase(
      command(
        'deploy',
        'Deploy PINGO, its vaults, rewards, passes and bonds. Shows addresses and costs, and asks first.',
        [
          'pingo chain deploy',
          'pingo chain deploy --print-config > genesis.json   # what the owner decides, to be edited',
          'pingo chain deploy --network testnet --config genesis.json',
        ],
      ).option('--wallet <name>', 'the wallet that deploys', MAIN_WALLET),
    ),
  )
    .option('--config <file>', 'what the owner decides (default: all roles are the wallet’s)')
    .option('--print-config', 'print the configuration that would be used, and deploy nothing')
    .option('--yes', 'do not ask')
    .action(async (flags: DeployOptions) => {
      const chain = await import('@pingo/chain')
      const network = chain.networkOf(flags.network)
      const file = await loadWallet(flags.wallet)
      const publicKey = Buffer.from(file.publicKey, 'hex')
      await withChain(flags, async (endpoint, output) => {
        const deployer = chain.w5Of(publicKey, endpoint.network).address
        const input = await configOf(flags, {
          network,
          deployer: deployer.toString(),
          arbiter: file.publicKey,
          now: () => endpoint.now({ signal }),
        })
        const config = chain.parseGenesisConfig(input)
        if (flags.printConfig) {
          output.emit(input)
          return
        }
        const deployment = chain.planDeployment(config)
        const book = chain.addressBook(deployment)
        const costs = await chain.deployCost(endpoint, deployment, { signal })
        const total = costs.reduce((sum, { value }) => sum + value, 0n)
        output.note(`On ${flags.network}, by ${chain.formatAddress(deployer, { network: endpoint.network })}:`)
        for (const { name, address, purpose } of book)
          output.note(`  ${name.padEnd(15)}${address}  ${output.colour.dim(purpose)}`)
        output.note(
          costs.length === 0
            ? 'All of it is there already.'
            : `${costs.length} of ${book.length} are to be deployed, with ${chain.formatAmount(total)} GRAM; most of it stays on them as their rent.`,
        )
        if (costs.length > 0) {
          await ask(flags)
          await withKey(file, flags, async ({ signer }) => {
            const sender = chain.walletOn(endpoint, signer)
            await chain.deploy(endpoint, sender, deployment, {
              signal,
              onStep: ({ name, state }) =>
                output.note(`${output.colour.green('✓')} ${name.padEnd(15)}${state === 'there' ? 'was there' : state}`),
            })
          })
        }
        const kept = await writeBook(network, input, book)
        output.result({ network, deployer: deployer.toString(), contracts: book, book: kept }, () => {
          output.table([
            ['contract', 'address', 'hash of its code'],
            ...book.map(({ name, address, codeHash }) => [name, address, codeHash]),
          ])
          output.say(
            `The address book is in ${kept}; \`pingo token info --verify\` recomputes all of it from the chain.`,
          )
        })
      })
    })
}

/** The owner's configuration: from a file, from the last deployment that was begun here, or with all roles in one wallet. */
async function configOf(
  flags: DeployOptions,
  {
    now,
    ...people
  }: { network: GenesisInput['network']; deployer: string; arbiter: string; now: () => Promise<number> },
): Promise<GenesisInput> {
  const { defaultGenesis } = await import('@pingo/chain')
  const path = flags.config ?? bookFile(people.network)
  const text = await readFile(path, 'utf8').catch((cause) => {
    if (flags.config === undefined) return undefined
    throw new PinGoError('CHAIN_CONFIG', `The configuration ${path} can't be read.`, { cause })
  })
  if (text === undefined) {
    if (people.network === 'mainnet')
      throw new PinGoError('USAGE_CONFIG', 'On mainnet the owner decides: give a configuration.', {
        hint: 'Begin with `pingo chain deploy --print-config`.',
      })
    return defaultGenesis({ ...people, start: await now() })
  }
  try {
    const parsed = JSON.parse(text) as { config?: GenesisInput } & GenesisInput
    return parsed.config ?? parsed
  } catch (cause) {
    throw new PinGoError('CHAIN_CONFIG', `${path} is no JSON.`, { cause })
  }
}

async function ask(flags: DeployOptions): Promise<void> {
  if (flags.yes) return
  const answer = await confirm('Deploy? [y/N] ')
  if (answer === undefined)
    throw new PinGoError('USAGE_CONFIRM', 'Nothing was deployed: there is no terminal to ask at.', {
      hint: 'Give --yes.',
    })
  if (!answer) throw new Exit(EXIT.failed)
}
