import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocalChain } from '@pingo/chain'
import { homeFolder } from '@pingo/client/local'
import type { Command } from 'commander'
import { announceLocalChain } from '../../chain.ts'
import { type Context, command, type JsonOption, port } from '../../context.ts'
import { Output } from '../../output.ts'
import { loadWallet } from '../wallet/wallet-file.ts'

interface UpOptions extends JsonOption {
  port: number
  fresh?: boolean
  cheap?: boolean
}

/** GRAM that every wallet of this machine finds on a new chain. */
const GIFT = 1000n * 10n ** 9n

/** TON cut its fees by about five sixths in April 2026; the configuration that comes with the machine is older. */
const CHEAP = { numerator: 1n, denominator: 6n }

export function upCommand({ signal }: Context): Command {
  return command('up', 'Run a chain on this machine, with the real TVM; its state outlives it.', [
    'pingo chain up',
    'pingo chain up --fresh --port 8745',
    'pingo chain up --json   # one line with its address once it is there',
  ])
    .option('--port <port>', 'port on this machine; 0 takes a free one', port, 8745)
    .option('--fresh', 'begin with nothing: an earlier chain is kept beside it')
    .option('--cheap', "a new chain with a sixth of the fees: TON's since 2026")
    .action((options: UpOptions) => up(options, signal))
}

async function up(options: UpOptions, signal: AbortSignal): Promise<void> {
  const output = new Output(options)
  const { LocalChain, serveChain } = await import('@pingo/chain')
  const folder = join(homeFolder(), 'chain')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'local.sqlite')
  if (options.fresh) await putAside(file)
  const chain = await LocalChain.open({ file, ...(options.cheap && { fees: CHEAP }) })
  try {
    const server = await serveChain(chain, { port: options.port })
    const forget = await announceLocalChain(server.url)
    try {
      const isNew = chain.head().transactions === 0
      const funded = isNew ? await fundOwnWallets(chain) : []
      const { block, transactions } = chain.head()
      output.result(
        { ready: true, url: server.url, network: chain.globalId, file, block, transactions, funded },
        () => {
          output.say(
            isNew
              ? 'A new chain runs on this machine.'
              : `The chain goes on at block ${block}, with ${transactions} transactions.`,
          )
          output.say(`address  ${server.url}`)
          output.say(`state    ${file}`)
          for (const { name, address } of funded) output.say(`gift     1000 GRAM to the wallet ${name}, ${address}`)
          if (isNew && funded.length === 0)
            output.say('No wallet is on this machine: `pingo wallet new`, then `pingo chain fund ADDRESS 1000`.')
          output.say('Ctrl-C ends it; nothing is lost.')
        },
      )
      await ended(signal)
    } finally {
      await forget()
      await server.close()
    }
  } finally {
    await chain.close()
  }
}

async function fundOwnWallets(chain: LocalChain): Promise<{ name: string; address: string }[]> {
  const { formatAddress, LOCAL, w5Of } = await import('@pingo/chain')
  const names = await readdir(join(homeFolder(), 'wallets')).catch(() => [])
  const funded: { name: string; address: string }[] = []
  for (const name of names.filter((each) => each.endsWith('.json')).map((each) => each.slice(0, -'.json'.length))) {
    const { publicKey } = await loadWallet(name)
    const { address } = w5Of(Buffer.from(publicKey, 'hex'), LOCAL)
    await chain.fund(address, GIFT)
    funded.push({ name, address: formatAddress(address, { network: LOCAL }) })
  }
  return funded
}

async function putAside(file: string): Promise<void> {
  const { rename } = await import('node:fs/promises')
  const stamp = new Date().toISOString().replace(/[:.]/g, '-')
  for (const suffix of ['', '-wal', '-shm']) {
    await rename(`${file}${suffix}`, `${file}.${stamp}${suffix}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
