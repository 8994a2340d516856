import { type CID, DAG_PB, matchesCid, PinGoError, RAW } from '@pingo/wire'
import type { OnFirstLeaf, OnProgress } from '../cdn/port.ts'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import { unlessAborted } from '../objects/abort.ts'
import { fetchSplit } from './fetch-split.ts'
import { firstLeaf } from './first-leaf.ts'
import { type HttpPool, type Source, sharedPool } from './http-client.ts'

const DEADLINE_MS = 30_000
/** Precondition failed: what a gateway says to `only-if-cached` for what it does not have. */
const NOT_HERE = 412
/** From here on a block that somebody waits for comes over many connections at once. */
const LONG_RTT_MS = 30

export interface FetchBlockOptions {
  signal?: AbortSignal
  /** 30 s by default. */
  deadlineMs?: number
  pool?: HttpPool
  /** Given up when nothing comes for so long, ms. 15 s by default. */
  idleMs?: number
  /** Round trip to the source, ms, where it is known. */
  rtt?: number
  /** How long it is, where that is known. A hint: it is not checked. */
  bytes?: number
  /** The bytes it is told of are not written again. */
  onProgress?: OnProgress
  /** Told of its first leaf where it comes over a long link, and the source knows its leaves. */
  onFirstLeaf?: OnFirstLeaf
}

/**
 * One block from one source, checked.
 * @throws PinGoError BLOCK_MISSING, BLOCK_MISMATCH (it sent other bytes, or too many), SOURCE_REFUSED, SOURCE_UNREACHABLE, SOURCE_UNTRUSTED,
 *   TRANSFER_TIMEOUT, or the signal's reason
 */
export async function fetchBlock(source: Source, cid: CID, o: FetchBlockOptions = {}): Promise<Uint8Array> {
  const { signal, deadlineMs = DEADLINE_MS, pool = sharedPool, rtt = 0, idleMs, onProgress } = o
  const path = `/ipfs/${cid}?format=raw`
  // a node that does not have it is not to ask others: they might be asking this one, and all would wait
  const headers = { accept: 'application/vnd.ipld.raw', 'cache-control': 'only-if-cached' }
  const early = await unlessAborted(pool.early.take(source, cid), signal)
  if (early) return early
  if (cid.code === RAW && rtt >= LONG_RTT_MS && !pool.isBusy(source)) {
    const early = o.onFirstLeaf && firstLeaf(source, cid, { signal, deadlineMs, idleMs, pool }, o.onFirstLeaf)
    const told: OnProgress = (came, total) => {
      onProgress?.(came, total)
      early?.came(came, total)
    }
    try {
      // of what may be short, twice the connections would mostly be for nothing
      const inOneFlight = o.bytes !== undefined && !early
      const how = { headers, signal, deadlineMs, idleMs, pool, onProgress: told, bytes: o.bytes, inOneFlight }
      const block = await fetchSplit(source, path, how)
      if (block && matchesCid(cid, block)) return block
    } finally {
      early?.stop()
    }
  }
  const isFirst = cid.code === DAG_PB && rtt >= LONG_RTT_MS && !pool.isBusy(source)
  let status = 0
  let buffer = Buffer.alloc(0)
  let bytes = 0
  let length = 0
  let isTooLarge = false
  const sink = {
    head: (code: number, headers: ReadonlyMap<string, string>) => {
      status = code
      length = Number(headers.get('content-length')) || 0
      isTooLarge = length > MAX_BLOCK_BYTES
      if (status !== 200 || isTooLarge) return false
      buffer = Buffer.allocUnsafeSlow(length)
      return true
    },
    part: (part: Uint8Array) => {
      isTooLarge = bytes + part.byteLength > MAX_BLOCK_BYTES
      if (isTooLarge) return false
      if (bytes + part.byteLength > buffer.byteLength)
        buffer = Buffer.concat([buffer.subarray(0, bytes)], Math.min(MAX_BLOCK_BYTES, 2 * (bytes + part.byteLength)))
      buffer.set(part, bytes)
      bytes += part.byteLength
      if (bytes <= length) onProgress?.(buffer.subarray(0, bytes), length)
      return true
    },
  }
  const check = (block: Uint8Array) => {
    if (status === 404 || status === 410 || status === NOT_HERE)
      throw new PinGoError('BLOCK_MISSING', `${source.url} does not have block ${cid}.`)
    if (status !== 200) throw new PinGoError('SOURCE_REFUSED', `${source.url} answers ${status} for block ${cid}.`)
    if (isTooLarge || !matchesCid(cid, block)) throw mismatch(source, cid)
  }
  const coming = pool.stream(source, path, { headers, signal, deadlineMs, idleMs }, sink)
  const cameRoot = isFirst ? pool.early.fetch(source, cid, { deadlineMs, idleMs, pool }) : undefined
  try {
    await coming
    const block = buffer.subarray(0, bytes)
    check(block)
    cameRoot?.(block)
    return block
  } catch (error) {
    cameRoot?.()
    throw error
  }
}

export const mismatch = (source: Source, cid: CID) =>
  new PinGoError('BLOCK_MISMATCH', `${source.url} sent other bytes than those of block ${cid}.`, {
    hint: 'It lies, or its disk is damaged: ask another holder.',
  })
