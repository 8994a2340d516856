import { type CID, DAG_PB, matchesCid, PinGoError, RAW } from '@pingo/wire'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import { fetchSplit } from './fetch-split.ts'
import { type HttpPool, type Source, sharedPool } from './http-client.ts'

const DEADLINE_MS = 30_000
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
}

/**
 * One block from one source, checked.
 * @throws PinGoError BLOCK_MISSING, BLOCK_MISMATCH (it sent other bytes, or too many), SOURCE_REFUSED, SOURCE_UNREACHABLE, SOURCE_UNTRUSTED,
 *   TRANSFER_TIMEOUT, or the signal's reason
 */
export async function fetchBlock(source: Source, cid: CID, o: FetchBlockOptions = {}): Promise<Uint8Array> {
  const { signal, deadlineMs = DEADLINE_MS, pool = sharedPool, rtt = 0, idleMs } = o
  if (cid.code === RAW && rtt >= LONG_RTT_MS && !pool.isBusy(source)) {
    const block = await fetchSplit(source, cid, { signal, deadlineMs, idleMs, pool })
    if (block && matchesCid(cid, block)) return block
  }
  // a node of a file: its leaves are asked for next
  if (cid.code === DAG_PB && rtt >= LONG_RTT_MS && !pool.isBusy(source)) pool.warm(source)
  let status = 0
  let buffer = Buffer.alloc(0)
  let bytes = 0
  let isTooLarge = false
  const sink = {
    head: (code: number, headers: ReadonlyMap<string, string>) => {
      status = code
      const length = Number(headers.get('content-length')) || 0
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
      return true
    },
  }
  const headers = { accept: 'application/vnd.ipld.raw' }
  await pool.stream(source, `/ipfs/${cid}?format=raw`, { headers, signal, deadlineMs, idleMs }, sink)
  if (status === 404 || status === 410)
    throw new PinGoError('BLOCK_MISSING', `${source.url} does not have block ${cid}.`)
  if (status !== 200) throw new PinGoError('SOURCE_REFUSED', `${source.url} answers ${status} for block ${cid}.`)
  const block = buffer.subarray(0, bytes)
  if (!isTooLarge && matchesCid(cid, block)) return block
  throw mismatch(source, cid)
}

export const mismatch = (source: Source, cid: CID) =>
  new PinGoError('BLOCK_MISMATCH', `${source.url} sent other bytes than those of block ${cid}.`, {
    hint: 'It lies, or its disk is damaged: ask another holder.',
  })
