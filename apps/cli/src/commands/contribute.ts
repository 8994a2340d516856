import { join } from 'node:path'
import { findEndpoint, homeFolder } from '@pingo/client/local'
import type { ContributorStatus } from '@pingo/contributor'
import { PinGoError } from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type Context, command, type JsonOption, numberFrom, size } from '../context.ts'
import { bytes, count } from '../format.ts'
import { createLogger } from '../local/log.ts'
import { askedToEnd } from '../local/node-life.ts'
import { Output } from '../output.ts'

/** How long the first connection may take before the command gives up. */
const CONNECT_TIMEOUT_MS = 10_000

interface ContributeOptions extends JsonOption {
  fog?: string[]
  cores?: number
  memory?: number
  disk?: number
  keepFree?: number
  name?: string
  home?: string
  verbose?: boolean
  withParent?: boolean
  always?: boolean
}

export function contributeCommand({ signal }: Context): Command {
  return command('contribute', 'Lend CPU, memory and disk of this machine to the network.', [
    'pingo contribute',
    'pingo contribute --fog /ip4/192.168.1.5/tcp/7071/p2p/12D3Koo…',
    'pingo contribute --cores 2 --memory 2Gi --name study',
    'pingo contribute --disk 20GB --keep-free 5GB',
  ])
    .option(
      '--fog <multiaddr...>',
      'address of a fog node as it prints it (default: the one that runs on this machine)',
    )
    .option('--cores <n>', 'cores to lend, from 0.05 (default: 1)', numberFrom(0.05, 4096))
    .option('--memory <size>', 'memory to lend, such as 2Gi (default: most of what is free)', size)
    .option('--disk <size>', 'disk to lend for data, never more, such as 20GB (default: 10Gi)', size)
    .option(
      '--keep-free <size>',
      'space that stays free on the disk: near it nothing is stored, and what was lent is given back (default: 1Gi)',
      size,
    )
    .option('--name <name>', "how it is shown (default: the machine's name)")
    .option('--home <folder>', 'folder of all its state (default: PINGO_HOME/contributor)')
    .option('--always', 'use what is lent at any time, whatever else this machine does')
    .option('--verbose', 'log what happens, on stderr')
    .addOption(new Option('--with-parent').hideHelp())
    .addHelpText(
      'after',
      `\nWhat is lent can stand in contributor.json in its home: {"disk": "20GB", "keepFree": "5GB", "cores": 2}`,
    )
    .action((options: ContributeOptions) => contribute(options, signal))
}

async function contribute(options: ContributeOptions, signal: AbortSignal): Promise<void> {
  const output = new Output(options)
  const home = options.home ?? join(homeFolder(), 'contributor')
  const fog = options.fog?.map(multiaddr) ?? (await knownFog())
  const { cores, memory, disk, keepFree, name, always } = options
  const { Contributor, readMachine, SettingsFile } = await import('@pingo/contributor')
  const connected = Promise.withResolvers<void>()
  let wasLow = false
  const onChange = (status: ContributorStatus) => {
    if (status.connected) connected.resolve()
    const { isLow } = status.disk
    if (isLow === wasLow || output.json) return
    wasLow = isLow
    output.note(
      isLow
        ? 'The disk is nearly full: no work is taken before there is space again.'
        : 'There is space on the disk again; it goes on.',
    )
  }
  const bytesOf = (n: number | undefined) => (n === undefined ? undefined : `${n}B`)
  const overrides = {
    cpu: cores,
    memory: bytesOf(memory),
    disk: bytesOf(disk),
    keepFree: bytesOf(keepFree),
    name,
    when: always ? 'always' : undefined,
  }
  const file = await SettingsFile.open(home, {
    machine: await readMachine(home),
    overrides: Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined)),
  })
  const { settings } = file
  const contributor = await Contributor.start({
    home,
    fog,
    settings,
    logger: createLogger(options.verbose),
    onChange,
  })
  file.onChange((changed) => contributor.change(changed))
  const asked = askedToEnd(signal, options)
  let wasConnected = false
  try {
    await firstConnection(connected.promise, asked, () => contributor.status(), fog)
    wasConnected = contributor.status().connected
    if (wasConnected) {
      const { peerId } = contributor
      output.result({ ready: true, peerId, pid: process.pid, disk: contributor.status().disk }, () => {
        const { quotaBytes, usedBytes } = contributor.status().disk
        output.say(
          `Contributing as ${settings.name}; ${bytes(usedBytes)} of ${bytes(quotaBytes)} disk in use. Ctrl-C leaves; work that was begun is handed in.`,
        )
      })
    }
    await Promise.race([asked, contributor.closed])
  } finally {
    file.close()
    const { samplesIncluded } = contributor.status()
    await contributor.leave()
    if (wasConnected && !output.json)
      output.note(`Left the network; ${count(samplesIncluded)} samples of this machine are in trained models.`)
  }
}

async function firstConnection(
  connected: Promise<void>,
  asked: Promise<void>,
  status: () => ContributorStatus,
  fog: string[],
): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    const { reason } = status()
    late.reject(
      new PinGoError('FOG_UNREACHABLE', reason ?? `No fog node answers at ${fog.join(', ')}.`, {
        hint: reason ? undefined : 'Check that it runs, that the address is whole, and that its port is open.',
      }),
    )
  }, CONNECT_TIMEOUT_MS)
  try {
    await Promise.race([connected, asked, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The control addresses of the fog node that runs on this machine. */
async function knownFog(): Promise<string[]> {
  const { multiaddrs } = await findEndpoint()
  if (multiaddrs?.length) return multiaddrs
  throw new PinGoError('FOG_UNKNOWN', 'No fog node runs on this machine.', {
    hint: 'Name one by --fog MULTIADDR, as `pingo fog` prints it.',
  })
}

function multiaddr(text: string): string {
  if (text.startsWith('/')) return text
  throw new PinGoError('FOG_ADDRESS_INVALID', `'${text.slice(0, 200)}' is not what contributors dial.`, {
    hint: 'They dial a multiaddr such as /ip4/192.168.1.5/tcp/7071/p2p/12D3Koo…, which the fog node prints as `join`.',
  })
}
