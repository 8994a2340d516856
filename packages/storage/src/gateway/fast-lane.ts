import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { Answer } from './answers.ts'
import type { Outflow } from './outflow.ts'

/** Longer requests are not plain ones. */
const MAX_REQUEST_BYTES = 2 << 10
/** Bodies up to this length are kept in one piece with their head. */
export const MAX_JOINED_BYTES = 16 << 10
const SWEEP_MS = 2_000
const LF = 10

/** Headers that do not change what is sent. All others make a request one for `node:http`. */
const INDIFFERENT = new Set([
  'host',
  'user-agent',
  'accept-encoding',
  'accept-language',
  'referer',
  'origin',
  'dnt',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
])

/** What a connection waits in. */
interface Lane {
  /** The header lines that it sent last, which were found plain. */
  headers: string
  activeAt: number
}

/** An answer as it goes over the wire in one second. */
interface Wire {
  second: number
  parts: Uint8Array[]
}

/**
 * Answers plain requests for what is at hand before `node:http` sees them: half of what a small answer costs is the parser's and its
 * objects'. A connection is here as long as each read brings exactly one `GET` whose headers ask for nothing special and whose answer is
 * at hand; with the first other bytes it goes to `node:http` for good, which begins with those. So every limit on slow and odd requests
 * is still that of `node:http`.
 * @param find the whole answer for a path and query, when it is at hand
 */
export function openFastLane(server: Server, find: (url: string) => Answer | undefined, outflow: Outflow): void {
  const event = (server as unknown) instanceof TlsServer ? 'secureConnection' : 'connection'
  const next = server.listeners(event) as ((socket: Socket) => void)[]
  server.removeAllListeners(event)
  const lanes = new Map<Socket, Lane>()
  const wires = new WeakMap<Answer, Wire>()
  const keepAliveMs = server.keepAliveTimeout
  const keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`
  let [second, date] = [0, '']

  const wireOf = (answer: Answer): Uint8Array[] => {
    const now = Math.floor(Date.now() / 1000)
    if (now !== second) [second, date] = [now, new Date(now * 1000).toUTCString()]
    let wire = wires.get(answer)
    if (wire?.second !== now) {
      const head = Buffer.from(`${headText(answer.head)}Date: ${date}\r\n${keepAlive}`, 'latin1')
      const isJoined = answer.body.byteLength <= MAX_JOINED_BYTES
      wire = { second: now, parts: isJoined ? [Buffer.concat([head, answer.body])] : [head, answer.body] }
      wires.set(answer, wire)
    }
    return wire!.parts
  }

  /** @returns whether the bytes were a request that was answered */
  const serve = (socket: Socket, lane: Lane, bytes: Buffer): boolean => {
    if (bytes.byteLength > MAX_REQUEST_BYTES || bytes[bytes.byteLength - 1] !== LF) return false
    const text = bytes.toString('latin1')
    const line = text.indexOf('\r\n')
    if (!text.startsWith('GET /ipfs/') || !text.endsWith(' HTTP/1.1', line)) return false
    const headers = text.slice(line)
    if (headers !== lane.headers) {
      if (!isPlain(headers)) return false
      lane.headers = headers
    }
    const answer = find(text.slice('GET '.length, line - ' HTTP/1.1'.length))
    if (answer === undefined || !outflow.hasRoom(answer.body.byteLength)) return false
    const [first, rest] = wireOf(answer) as [Uint8Array, Uint8Array | undefined]
    if (rest === undefined) socket.write(first)
    else {
      socket.cork()
      socket.write(first)
      socket.write(rest)
      socket.uncork()
    }
    if (socket.writableLength > 0) {
      // no further request is read before this answer is taken
      socket.pause()
      outflow.followSocket(socket, answer.body.byteLength, () => socket.resume())
    }
    return true
  }

  const enter = (socket: Socket): void => {
    const lane: Lane = { headers: '', activeAt: performance.now() }
    lanes.set(socket, lane)
    const leave = () => {
      lanes.delete(socket)
      socket.off('data', onData).off('close', leave).off('error', ignore).off('end', onEnd)
    }
    const onEnd = () => socket.end()
    const onData = (bytes: Buffer) => {
      lane.activeAt = tick
      if (serve(socket, lane, bytes)) return
      leave()
      for (const listener of next) listener.call(server, socket)
      // its parser reads from the handle itself: the stream must not start to, which it does when no read of its own is under way
      socket.read(0)
      socket.emit('data', bytes)
    }
    socket.on('data', onData).on('close', leave).on('error', ignore).on('end', onEnd)
  }
  server.on(event, enter)

  let tick = performance.now()
  const sweeper = setInterval(() => {
    tick = performance.now()
    for (const [socket, { activeAt }] of lanes)
      if (activeAt + keepAliveMs < tick && socket.writableLength === 0) socket.destroy()
  }, SWEEP_MS).unref()
  server.once('close', () => clearInterval(sweeper))

  // the server knows only of connections that its own parser has
  const { closeAllConnections, closeIdleConnections } = server
  server.closeAllConnections = () => {
    for (const socket of lanes.keys()) socket.destroy()
    closeAllConnections.call(server)
  }
  server.closeIdleConnections = () => {
    for (const socket of lanes.keys()) if (socket.writableLength === 0) socket.destroy()
    closeIdleConnections.call(server)
  }
}

const ignore = (): void => undefined

function headText(head: readonly string[]): string {
  let text = 'HTTP/1.1 200 OK\r\n'
  for (let n = 0; n < head.length; n += 2) text += `${head[n]}: ${head[n + 1]}\r\n`
  return text
}

/** Whether header lines, with their end, are those of one request that asks for nothing special and has no body. */
function isPlain(headers: string): boolean {
  if (headers.indexOf('\r\n\r\n') !== headers.length - 4) return false
  let hosts = 0
  for (const line of headers.slice(2, -4).split('\r\n')) {
    const [, name, value] = /^([A-Za-z-]+):[ \t]*([\x20-\x7e]*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) return false
    const lower = name.toLowerCase()
    if (lower === 'host') hosts += 1
    const isPlainLine =
      INDIFFERENT.has(lower) ||
      (lower === 'accept' && value.trim() === '*/*') ||
      (lower === 'connection' && value.trim().toLowerCase() === 'keep-alive')
    if (!isPlainLine) return false
  }
  return hosts === 1
}
