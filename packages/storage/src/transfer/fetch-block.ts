import { type CID, matchesCid, PinGoError } from '@pingo/wire'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import { type HttpPool, type Source, sharedPool } from './http-client.ts'

const DEADLINE_MS = 30_000

/**
 * One block from one source, checked.
 * @throws PinGoError BLOCK_MISSING, BLOCK_MISMATCH (it sent other bytes, or too many), SOURCE_REFUSED, SOURCE_UNREACHABLE, SOURCE_UNTRUSTED,
 *   TRANSFER_TIMEOUT, or the signal's reason
 */
export async function fetchBlock(
  source: Source,
  cid: CID,
  o: { signal?: AbortSignal; deadlineMs?: number; pool?: HttpPool } = {},
): Promise<Uint8Array> {
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
  const { signal, deadlineMs = DEADLINE_MS, pool = sharedPool } = o
  await pool.stream(source, `/ipfs/${cid}?format=raw`, { headers, signal, deadlineMs }, sink)
  if (status === 404 || status === 410)
    throw new PinGoError('BLOCK_MISSING', `${source.url} does not have block ${cid}.`)
  if (status !== 200) throw new PinGoError('SOURCE_REFUSED', `${source.url} answers ${status} for block ${cid}.`)
  const block = buffer.subarray(0, bytes)
  if (!isTooLarge && matchesCid(cid, block)) return block
  throw new PinGoError('BLOCK_MISMATCH', `${source.url} sent other bytes than those of block ${cid}.`, {
    hint: 'It lies, or its disk is damaged: ask another holder.',
  })
}
