import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { homeFolder, parseAddress } from '@pingo/client/local'
import { PinGoError } from '@pingo/wire'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Context, command, type JsonOption, numberFrom, port, size } from '../../context.ts'
import { createLogger } from '../../local/log.ts'
import { askedToEnd } from '../../local/node-life.ts'
import { Output } from '../../output.ts'
import { leaveCommand } from './leave.ts'
import { statusCommand } from './status.ts'

/** The built dashboard. */
export const PAGES = join(dirname(fileURLToPath(import.meta.url)), ...['..', '..', '..', '..', 'dashboard', 'dist'])

interface FogOptions extends JsonOption {
  host: string
  port: number
  p2pPort?: number
  home?: string
  connectionHome?: string
  tokenFile?: string
  announce?: string[]
  peer?: string[]
  region?: string
  domain?: string
  capacity?: number
  price?: number
  turnMs?: number
  careMs?: number
  verbose?: boolean
  withParent?: boolean
}

export function fogCommand(context: Context): Command {
  const { signal } = context
  return command('fog', 'Run a fog node: it gathers contributors, keeps data and runs jobs.', [
    'pingo fog',
    'pingo fog --host 0.0.0.0 --port 7070 --p2p-port 7071',
    'pingo fog --peer https://fog.example.org:7070#PIN --region eu-de --capacity 500GB',
    'pingo fog --home /var/lib/pingo --token-file /etc/pingo/token --json',
  ])
    .option('--host <address>', 'address to listen on; anything but loopback serves HTTPS', '127.0.0.1')
    .option('--port <port>', 'port of the gateway and the dashboard; 0 takes a free one', port, 7070)
    .option('--p2p-port <port>', 'port that contributors dial (default: the one after --port)', port)
    .option('--announce <multiaddr...>', 'addresses told to contributors, when they differ from those listened on')
    .option('--home <folder>', 'folder of all its state (default: PINGO_HOME/fog)')
    .option('--peer <url...>', 'gateways of other fog nodes, as `pingo fog` prints them: together they keep data')
    .option('--capacity <size>', 'disk for data, such as 500GB (default: half of what is free)', size)
    .option('--region <name>', 'where it is, such as eu-de: data are kept near their readers', region)
    .option('--domain <name>', 'what fails together with it: operator, rack (default: this node alone)', domain)
    .option('--price <nano>', 'nano-PINGO a GiB and month', numberFrom(0, 2 ** 53 - 1, { integer: true }), 0)
    .option('--token-file <file>', 'file with the token that submitting needs (default: one is made and kept)')
    .option('--verbose', 'log what happens, on stderr')
    .addOption(new Option('--connection-home <folder>').hideHelp())
    .addOption(new Option('--turn-ms <ms>').argParser(numberFrom(10, 1e9)).hideHelp())
    .addOption(new Option('--care-ms <ms>').argParser(numberFrom(10, 1e9)).hideHelp())
    .addOption(new Option('--with-parent').hideHelp())
    .action((options: FogOptions) => runFog(options, signal))
    .addCommand(statusCommand(context))
    .addCommand(leaveCommand(context))
}

async function runFog(options: FogOptions, signal: AbortSignal): Promise<void> {
  const output = new Output(options)
  const token = options.tokenFile === undefined ? undefined : await readToken(options.tokenFile)
  const connectionHome = options.connectionHome ?? homeFolder()
  await mkdir(connectionHome, { recursive: true, mode: 0o700 })
  const { FogNode } = await import('@pingo/fog')
  const fog = await FogNode.start({
    home: options.home ?? join(homeFolder(), 'fog'),
    connectionHome,
    host: options.host,
    port: options.port,
    p2pPort: options.p2pPort ?? (options.port === 0 ? 0 : options.port + 1),
    announce: options.announce,
    pages: PAGES,
    token,
    storage: {
      peers: options.peer?.map(parseAddress),
      capacityBytes: options.capacity,
      region: options.region,
      domain: options.domain,
      price: options.price,
      turnMs: options.turnMs,
      careMs: options.careMs,
    },
    logger: createLogger(options.verbose),
  })
  const { url, multiaddrs, peerId } = fog
  output.result({ ready: true, url, token: fog.token, multiaddrs, peerId, pid: process.pid }, () => {
    output.say(`Fog node ${peerId} is up.`)
    output.say(`dashboard  ${url.replace(/#.*/, '')}`)
    output.say(`clients    --fog ${url}`)
    output.say(`token      ${fog.token}`)
    output.say(`join       npx pingo contribute --fog ${multiaddrs[0]}`)
    output.say('Ctrl-C ends it; jobs go on where they were when it starts again.')
  })
  await Promise.race([askedToEnd(signal, options), fog.closed])
  await fog.close()
}

async function readToken(file: string): Promise<string> {
  let token: string
  try {
    token = (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new PinGoError('TOKEN_UNREADABLE', `The token file ${file} cannot be read (${code}).`, {
      hint: 'Write a long random word into it, readable by you alone.',
      cause,
    })
  }
  if (token.length < 16 || /\s/.test(token))
    throw new PinGoError('TOKEN_UNREADABLE', `The token in ${file} is not one word of at least 16 characters.`, {
      hint: 'For example: openssl rand -hex 24',
    })
  return token
}

function region(text: string): string {
  if (!/^[a-z0-9-]{1,32}$/.test(text)) throw new InvalidArgumentError('It must be up to 32 of a-z, 0-9 and -.')
  return text
}

function domain(text: string): string {
  if (text === '' || text.length > 100) throw new InvalidArgumentError('It must be 1 to 100 characters.')
  return text
}
