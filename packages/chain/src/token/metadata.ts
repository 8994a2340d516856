import { createHash } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { beginCell, type Cell, Dictionary, type Slice } from '@ton/core'

/** What wallets show of a token, TEP-64. All values are text; `image` is an address of a picture, `imageData` the picture itself. */
export interface TokenMetadata {
  name: string
  symbol: string
  description: string
  /** Digits after the point. */
  decimals: number
  image?: string
  imageData?: Uint8Array
  /** SHA-256 of the picture, hexadecimal: so that a picture that was swapped shows. */
  imageHash?: string
}

/** Bounds of a content cell: what a launcher may write, what a reader will read. */
export const MAX_METADATA_BYTES = 16 * 1024

const SNAKE = 0x00
const CHUNKED = 0x01
const ON_CHAIN = 0x00

const KEYS = {
  name: 'name',
  symbol: 'symbol',
  description: 'description',
  decimals: 'decimals',
  image: 'image',
  imageData: 'image_data',
  imageHash: 'image_hash',
} as const

/** The content cell of on-chain metadata (TEP-64: tag 0x00, a dictionary sha256(key) → snake value). */
export function encodeMetadata(metadata: TokenMetadata): Cell {
  const dictionary = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.Cell())
  for (const [field, key] of Object.entries(KEYS) as [keyof TokenMetadata, string][]) {
    const value = metadata[field]
    if (value === undefined) continue
    const bytes = value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value), 'utf8')
    if (bytes.length > MAX_METADATA_BYTES) {
      throw new PinGoError(
        'CHAIN_METADATA',
        `the token's ${key} has ${bytes.length} bytes, ${MAX_METADATA_BYTES} are the most`,
      )
    }
    dictionary.set(keyHash(key), snake(Buffer.concat([Buffer.from([SNAKE]), bytes])))
  }
  return beginCell().storeUint(ON_CHAIN, 8).storeDict(dictionary).endCell()
}

/**
 * Reads on-chain metadata that anyone may have written: fields that are missing or unreadable are left out.
 *
 * @throws PinGoError CHAIN_METADATA when the cell is no on-chain content.
 */
export function decodeMetadata(content: Cell): Partial<TokenMetadata> {
  const slice = content.beginParse()
  if (slice.remainingBits < 9 || slice.loadUint(8) !== ON_CHAIN) {
    throw new PinGoError('CHAIN_METADATA', 'the content of this token is not kept on the chain')
  }
  const dictionary = slice.loadDict(Dictionary.Keys.BigUint(256), Dictionary.Values.Cell())
  const out: Record<string, unknown> = {}
  for (const [field, key] of Object.entries(KEYS)) {
    const cell = dictionary.get(keyHash(key))
    const bytes = cell && readValue(cell)
    if (!bytes) continue
    const text = bytes.toString('utf8')
    if (field === 'decimals') {
      if (/^\d{1,3}$/.test(text)) out.decimals = Number(text)
    } else out[field] = field === 'imageData' ? new Uint8Array(bytes) : text
  }
  return out as Partial<TokenMetadata>
}

function keyHash(key: string): bigint {
  return BigInt(`0x${createHash('sha256').update(key).digest('hex')}`)
}

const CELL_BYTES = 127

/** Bytes over a chain of cells, the first 127 in the root. */
function snake(bytes: Buffer): Cell {
  let tail: Cell | undefined
  for (let start = Math.floor((bytes.length - 1) / CELL_BYTES) * CELL_BYTES; start >= 0; start -= CELL_BYTES) {
    const builder = beginCell().storeBuffer(bytes.subarray(start, start + CELL_BYTES))
    if (tail) builder.storeRef(tail)
    tail = builder.endCell()
  }
  return tail ?? beginCell().endCell()
}

function readValue(cell: Cell): Buffer | undefined {
  const slice = cell.beginParse()
  if (slice.remainingBits < 8) return undefined
  const tag = slice.loadUint(8)
  if (tag === SNAKE) return readSnake(slice)
  if (tag !== CHUNKED) return undefined
  const chunks = slice.loadDict(Dictionary.Keys.Uint(32), Dictionary.Values.Cell())
  const parts: Buffer[] = []
  for (let index = 0; index < chunks.size; index++) {
    const chunk = chunks.get(index)
    const part = chunk && readSnake(chunk.beginParse())
    if (!part) return undefined
    parts.push(part)
  }
  const bytes = Buffer.concat(parts)
  return bytes.length <= MAX_METADATA_BYTES ? bytes : undefined
}

function readSnake(from: Slice): Buffer | undefined {
  const parts: Buffer[] = []
  let size = 0
  for (let slice = from; ; slice = slice.loadRef().beginParse()) {
    if (slice.remainingBits % 8 !== 0) return undefined
    const part = slice.loadBuffer(slice.remainingBits / 8)
    size += part.length
    if (size > MAX_METADATA_BYTES) return undefined
    parts.push(part)
    if (slice.remainingRefs === 0) return Buffer.concat(parts)
  }
}
