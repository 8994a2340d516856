import { PinGoError } from '@pingo/wire'
import type { DagScope, EntityBytes } from '../files/dag-walk.ts'
import { MAX_PATH_DEPTH } from '../files/folder.ts'

import { formOf, prefersJson } from './accept.ts'

const MAX_PATH = 4_096
const MAX_CID_TEXT = 150

/** What a request for something below `/ipfs/` names. */
export interface ReadRequest {
  /** The root CID, as it is written. */
  root: string
  /** Names below it. */
  names: string[]
  /** The path below the root as it was written, with its first slash; '' when there is none. */
  path: string
  /** `file`: the bytes of a file, or a listing. */
  format: 'file' | 'raw' | 'car'
  /** Of a CAR. */
  scope: DagScope
  range: EntityBytes | undefined
  /** Whether a listing is wanted as JSON. */
  isJson: boolean
  filename: string | undefined
}

/** Path and query of a request's target: a server takes them with the authority before them too, as proxies are sent them (RFC 9112, 3.2.2). */
export function originForm(target = ''): string {
  if (target.startsWith('/')) return target
  const [, rest] = /^https?:\/\/[^/?#]*(.*)$/i.exec(target) ?? []
  return rest === undefined || rest.startsWith('/') ? (rest ?? target) : `/${rest}`
}

/**
 * Reads path and query (ipfs/specs, path and trustless gateway).
 * @throws PinGoError CID_MALFORMED, PATH_MALFORMED, FORMAT_UNKNOWN, QUERY_MALFORMED
 */
export function readRequest(url: string, accept = ''): ReadRequest {
  const mark = url.indexOf('?')
  const path = mark < 0 ? url : url.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark))
  if (path.length > MAX_PATH) throw new PinGoError('PATH_MALFORMED', `A path has at most ${MAX_PATH} characters.`)
  const [root = '', ...rest] = path.slice('/ipfs/'.length).split('/')
  if (root.length > MAX_CID_TEXT || !/^[A-Za-z0-9]+$/.test(root))
    throw new PinGoError('CID_MALFORMED', 'The path names no content address (CID).', {
      hint: 'Ask for /ipfs/CID or /ipfs/CID/NAME.',
    })
  if (rest.at(-1) === '') rest.pop()
  if (rest.length > MAX_PATH_DEPTH)
    throw new PinGoError('PATH_MALFORMED', `A path has at most ${MAX_PATH_DEPTH} names.`)
  return {
    root,
    names: rest.map(decodeName),
    path: rest.map((name) => `/${name}`).join(''),
    format: formatOf(query.get('format'), accept),
    scope: scopeOf(query.get('dag-scope')),
    range: entityBytesOf(query.get('entity-bytes')),
    isJson: prefersJson(accept),
    filename: query.get('filename') ?? undefined,
  }
}

/** One name of a path. Names that say "here" or "above", and such as hide a slash, are refused: nothing above a root is ever meant. */
function decodeName(text: string): string {
  let name: string
  try {
    name = decodeURIComponent(text)
  } catch (cause) {
    throw new PinGoError('PATH_MALFORMED', 'A name in the path is not encoded as UTF-8.', { cause })
  }
  if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name))
    throw new PinGoError('PATH_MALFORMED', 'A name in the path is empty, leads elsewhere or hides a separator.')
  return name
}

function formatOf(named: string | null, accept: string): ReadRequest['format'] {
  if (named === 'raw' || named === 'car') return named
  if (named !== null)
    throw new PinGoError('FORMAT_UNKNOWN', 'Blocks are served as raw or car, files without a format.', {
      hint: 'Add ?format=raw, or leave it out.',
    })
  return formOf(accept)
}

function scopeOf(text: string | null): DagScope {
  if (text === null) return 'all'
  if (text === 'block' || text === 'entity' || text === 'all') return text
  throw new PinGoError('QUERY_MALFORMED', 'dag-scope is block, entity or all.')
}

/** `from:to`, both from the end when below zero, `to` inclusive or `*`. */
function entityBytesOf(text: string | null): EntityBytes | undefined {
  if (text === null) return undefined
  const [, from, to] = /^(-?\d{1,15}):(-?\d{1,15}|\*)$/.exec(text) ?? []
  if (from === undefined)
    throw new PinGoError('QUERY_MALFORMED', 'entity-bytes is FROM:TO, for instance 0:1023 or -1024:*.')
  return { from: Number(from), to: to === '*' ? undefined : Number(to) }
}
