/**
 * A thread of the child, for what cannot wait while the main thread is blocked by a step: it ends the process when its parent is gone, and
 * reads the batches that come meanwhile into shared memory. Plain JavaScript, so that it need not load the type stripper: it takes about
 * 14 MB, with it twice that.
 */
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { FrameReader } from './frame-reader.js'
import { removeFolder } from './own-folder.js'

const CHECK_MS = 500
/** About what a socket holds; read in one go and still in the cache when it is copied to its place. */
const CHUNK_BYTES = 256 << 10

/** @type {{ parent: number, folder: string, batches: number }} */
const { parent, folder, batches } = workerData

setInterval(() => {
  if (process.ppid === parent && isAlive(parent)) return
  removeFolder(folder)
  process.kill(process.pid, 'SIGKILL')
}, CHECK_MS)

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Places that the main thread lent and that hold nothing. @type {SharedArrayBuffer[]} */
const free = []
/** What was read and has no place yet. */
let rest = new Uint8Array(0)

const reader = new FrameReader(
  (bytes) => {
    const at = free.findIndex(({ byteLength }) => byteLength >= bytes)
    if (at >= 0) return new Uint8Array(free.splice(at, 1)[0], 0, bytes)
    parentPort.postMessage({ type: 'short', bytes, back: free.splice(0) })
    return undefined
  },
  ({ buffer, length }) => parentPort.postMessage({ type: 'frame', place: buffer, bytes: length }),
)

const socket = new Socket({
  fd: batches,
  writable: false,
  onread: {
    buffer: Buffer.allocUnsafeSlow(CHUNK_BYTES),
    callback(length, buffer) {
      take(buffer.subarray(0, length))
      return !reader.waiting
    },
  },
})
// The parent is gone, as the timer above and the channel find as well.
socket.on('error', () => {})

parentPort.on('message', (place) => {
  free.push(place)
  if (!reader.waiting) return
  take(rest)
  if (!reader.waiting) socket.resume()
})

/** @param {Uint8Array} chunk */
function take(chunk) {
  rest = chunk.subarray(reader.feed(chunk))
}
