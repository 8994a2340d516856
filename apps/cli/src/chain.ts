import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChainEndpoint, NetworkName, RemoteServer } from '@pingo/chain'
import { homeFolder } from '@pingo/client/local'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { z } from 'zod'
import type { JsonOption } from './context.ts'
import { Output } from './output.ts'
import { writeBytes } from './whole-file.ts'

export interface ChainOptions extends JsonOption {
  network: string
  server: string[]
}

/** Public servers that are asked when nobody names others. */
const PUBLIC: Record<Exclude<NetworkName, 'local'>, string> = {
  mainnet: 'https://toncenter.com/api/v2/jsonRPC',
  testnet: 'https://testnet.toncenter.com/api/v2/jsonRPC',
}

const MAX_SERVERS = 8

/** Where a local chain that runs on this machine tells its address. */
const LocalChainFile = z.object({ url: z.url({ protocol: /^http$/ }).max(200) })
export const localChainFile = (): string => join(homeFolder(), 'chain.json')

/** Tells this machine's programs where its local chain is; they find it until the returned function is called. */
export async function announceLocalChain(url: string): Promise<() => Promise<void>> {
  await writeBytes(localChainFile(), Buffer.from(`${JSON.stringify({ url })}\n`))
  return () => rm(localChainFile(), { force: true })
}

/** A command that speaks with a chain. */
export const chainCommand = (of: Command): Command =>
  of
    .option('--network <name>', 'local, testnet or mainnet', 'local' satisfies NetworkName)
    .option(
      '--server <url>',
      "a server of the network (toncenter's JSON-RPC); twice, and two must agree (default: PINGO_CHAIN)",
      (url: string, before: string[]) => [...before, url],
      [],
    )

/** Runs `work` with a chain and closes it behind. */
export async function withChain<T>(
  flags: ChainOptions,
  work: (endpoint: ChainEndpoint, output: Output) => Promise<T>,
): Promise<T> {
  const { NETWORKS, networkOf, remoteEndpoint } = await import('@pingo/chain')
  const name = networkOf(flags.network)
  const endpoint = remoteEndpoint(NETWORKS[name], await serversOf(name, flags.server))
  try {
    return await work(endpoint, new Output(flags))
  } finally {
    await endpoint.close()
  }
}

/** Servers of a network: named ones, else those of PINGO_CHAIN, else the local chain or public ones. */
async function serversOf(network: NetworkName, named: readonly string[]): Promise<RemoteServer[]> {
  const urls = named.length > 0 ? named : (process.env.PINGO_CHAIN ?? '').split(/[\s,]+/).filter((url) => url !== '')
  if (urls.length > MAX_SERVERS) throw new PinGoError('USAGE_SERVER', `${MAX_SERVERS} servers at most are asked.`)
  const apiKey = process.env.PINGO_CHAIN_KEY || undefined
  if (urls.length > 0) return urls.map((url) => ({ url: checked(url), apiKey }))
  return network === 'local' ? [{ url: await localChain() }] : [{ url: PUBLIC[network], apiKey }]
}

async function localChain(): Promise<string> {
  try {
    return LocalChainFile.parse(JSON.parse(await readFile(localChainFile(), 'utf8'))).url
  } catch (cause) {
    throw new PinGoError('CHAIN_UNKNOWN', 'No local chain runs on this machine.', {
      hint: 'Start one with `pingo chain up`, or choose --network testnet.',
      cause,
    })
  }
}

function checked(text: string): string {
  try {
    const { protocol, href } = new URL(text)
    if (protocol === 'https:' || protocol === 'http:') return href
  } catch {}
  throw new PinGoError('USAGE_SERVER', `${JSON.stringify(text.slice(0, 100))} is not the address of a server.`, {
    hint: 'It begins with https:// (or http:// on this machine).',
  })
}
