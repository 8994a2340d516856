import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Connection, ConnectionSchema, PinGoError } from '@pingo/wire'
import { type Environment, homeFolder } from './home.ts'

export interface ConnectOptions {
  /** Address of the fog node's gateway, for example http://127.0.0.1:7070; `#PIN` behind it pins its certificate. */
  url?: string
  /** What the fog node asks of those who submit, stop and store. */
  token?: string
  /** SHA-256 of the fog node's certificate (DER), hex: for https without a certificate authority. */
  pin?: string
  /** Folder with `connection.json`, written by a fog node on this machine. Default: `PINGO_HOME`, else ~/.pingo. */
  home?: string
  environment?: Environment
}

/** Where a fog node is and how to speak to it. */
export interface Endpoint {
  /** Without a slash at the end. */
  url: string
  token?: string
  pin?: string
  /** The file it was read from: read again when the fog node moved. */
  file?: string
  /** What contributors dial, as the file says. */
  multiaddrs?: string[]
}

/** Name of the file that a running fog node writes into its home folder. */
export const CONNECTION_FILE = 'connection.json'
const START_HINT = 'Start one with `npx pingo up`, or name another by --fog URL or PINGO_FOG.'

/**
 * Finds the fog node to speak to: options, then `PINGO_FOG` and `PINGO_TOKEN`, then the connection file.
 * A token in the file also serves when only its address was given.
 * @throws PinGoError FOG_UNKNOWN, FOG_ADDRESS_INVALID
 */
export async function findEndpoint(options: ConnectOptions = {}): Promise<Endpoint> {
  const environment = options.environment ?? process.env
  const file = join(options.home ?? homeFolder(environment), CONNECTION_FILE)
  const named = options.url ?? (environment.PINGO_FOG || undefined)
  const token = options.token ?? (environment.PINGO_TOKEN || undefined)
  const written = await readConnection(file)
  if (named !== undefined) {
    const endpoint = parseAddress(named)
    const pin = options.pin ? normalPin(options.pin) : endpoint.pin
    return {
      url: endpoint.url,
      pin,
      token: token ?? (written && parseAddress(written.url).url === endpoint.url ? written.token : undefined),
    }
  }
  if (!written) throw new PinGoError('FOG_UNKNOWN', 'No fog node is known on this machine.', { hint: START_HINT })
  return { ...parseAddress(written.url), token: token ?? written.token, file, multiaddrs: written.multiaddrs }
}

/** Whether a fog node that wrote its connection file into `home` still runs on this machine. */
export async function isConnectionLive(home: string): Promise<boolean> {
  const written = await readConnection(join(home, CONNECTION_FILE))
  return written !== undefined && isProcessAlive(written.pid)
}

/** Whether a process of this id runs, whoever owns it. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The error of a fog node that does not answer. */
export function unreachable(endpoint: Endpoint, why: string, cause?: unknown): PinGoError {
  const place = endpoint.file ? `${endpoint.url}, the last one that ran here` : endpoint.url
  return new PinGoError('FOG_UNREACHABLE', `No fog node answers at ${place} (${why}).`, { hint: START_HINT, cause })
}

/** A gateway's address, with or without `#PIN`. @throws PinGoError FOG_ADDRESS_INVALID */
export function parseAddress(text: string): { url: string; pin?: string } {
  let url: URL
  try {
    if (/^[/\\]/.test(text)) throw new Error('path')
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
    if (!/^https?:$/.test(url.protocol)) throw new Error('scheme')
  } catch (cause) {
    throw new PinGoError('FOG_ADDRESS_INVALID', `'${text.slice(0, 200)}' is not the address of a fog node.`, {
      hint: text.startsWith('/')
        ? 'A multiaddr is what contributors dial; clients take the http address that `pingo fog` prints.'
        : 'Write it as http://HOST:PORT.',
      cause,
    })
  }
  const pin = url.hash ? normalPin(url.hash.replace(/^#(pin=)?/, '')) : undefined
  return { url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, pin }
}

function normalPin(text: string): string {
  const pin = text.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(pin))
    throw new PinGoError(
      'FOG_ADDRESS_INVALID',
      'The pin of a fog node is not a SHA-256 fingerprint of 64 hex digits.',
      {
        hint: 'Copy the whole address, from https:// to the last digit behind the #.',
      },
    )
  return pin
}

async function readConnection(file: string): Promise<Connection | undefined> {
  try {
    return ConnectionSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined // not there, cut off or of another version: as good as none
  }
}
