import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BookEntry, Deployment, GenesisInput, NetworkName } from '@pingo/chain'
import { homeFolder } from '@pingo/client/local'
import { PinGoError } from '@pingo/wire'
import { writeBytes } from '../../whole-file.ts'

/** Bytes that the file of a deployment may have. */
const MAX_BOOK_BYTES = 256 * 1024

/** Where this machine keeps what it knows of a network's deployment. */
export const bookFile = (network: NetworkName): string => join(homeFolder(), 'chain', `${network}.json`)

/** Keeps the configuration, from which everything else follows, and the addresses for people to read. */
export async function writeBook(network: NetworkName, config: GenesisInput, book: BookEntry[]): Promise<string> {
  const file = bookFile(network)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeBytes(file, Buffer.from(`${JSON.stringify({ network, config, contracts: book }, null, 2)}\n`))
  return file
}

/** The deployment of a network, worked out again from its configuration. @throws PinGoError CHAIN_NOT_DEPLOYED, CHAIN_CONFIG */
export async function readDeployment(network: NetworkName, file = bookFile(network)): Promise<Deployment> {
  const { parseGenesisConfig, planDeployment } = await import('@pingo/chain')
  const bytes = await readFile(file).catch((cause) => {
    throw new PinGoError('CHAIN_NOT_DEPLOYED', `This machine knows of no deployment on ${network}.`, {
      hint: 'Make one with `pingo chain deploy`, or give the file of one with --book FILE.',
      cause,
    })
  })
  if (bytes.length > MAX_BOOK_BYTES) throw new PinGoError('CHAIN_CONFIG', `${file} is too large for an address book.`)
  let parsed: { config?: unknown }
  try {
    parsed = JSON.parse(bytes.toString('utf8')) as { config?: unknown }
  } catch (cause) {
    throw new PinGoError('CHAIN_CONFIG', `${file} is no JSON.`, { cause })
  }
  const config = parseGenesisConfig(parsed.config ?? parsed)
  if (config.network !== network)
    throw new PinGoError('CHAIN_CONFIG', `${file} is of the network ${config.network}, not ${network}.`)
  return planDeployment(config)
}
