import type { ServerResponse } from 'node:http'

/** Bytes a write: TLS takes up to five times the CPU for 16 KiB, and more memory for a MiB. */
const WRITE_BYTES = 256 << 10

/**
 * Sends a part of a lent block ({@link BlockStore.lend}) and gives it back when the socket has taken it all or is gone. For whoever asks with
 * `cache-control: no-store`, as nodes do that pull whole files: what they read once has no place among the hot blocks in memory.
 */
export async function sendLent(
  response: ServerResponse,
  { status, head }: { status: number; head: string[] },
  { bytes, giveBack }: { bytes: Uint8Array; giveBack(): void },
  start: number,
  end: number,
): Promise<void> {
  if (response.destroyed) return giveBack()
  // after 'close' no socket reads from it any more: what was handed over was encrypted, written or dropped
  response.once('close', giveBack)
  response.writeHead(status, head)
  for (let at = start; at < end; at += WRITE_BYTES)
    if (!response.write(bytes.subarray(at, Math.min(end, at + WRITE_BYTES))) && !(await drained(response))) return
  response.end()
}

/** @returns false when the answer is gone */
function drained(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve(!response.destroyed)
    }
    response.on('drain', done).on('close', done)
    if (response.destroyed) done()
  })
}
