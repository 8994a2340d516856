import type { MessageStream, StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'

/** Bytes that one stream's sender may be ahead of its reader. */
const STREAM_WINDOW_BYTES = 256 << 10
const MAX_STREAM_WINDOW_BYTES = 1 << 20
/** More than a full window, so that an honest sender never meets it. */
const MAX_READ_BUFFER_BYTES = 2 * MAX_STREAM_WINDOW_BYTES
/** Bytes queued for a peer that does not read, over all its streams; beyond it the connection is dropped. */
const MAX_CONNECTION_WRITE_BYTES = 16 << 20
const RTT_INTERVAL_MS = 60_000
const HEADER_BYTES = 12
const DATA_FRAME = 0

/** What is guarded here: the muxer takes its bytes by this method. */
interface ByteSink {
  onData(bytes: Uint8Array | Iterable<Uint8Array>): void
}

/**
 * Yamux whose memory a hostile peer cannot exhaust. The library collects a data frame whole before it looks at the stream's
 * window, so that one header of 4 GiB would be filled; and it answers pings to a peer that never reads without end. Here a
 * frame longer than any window ends the connection at its header, and so does too much unread output.
 */
export function boundedYamux(maxStreams: number): () => StreamMuxerFactory {
  const factory = yamux({
    maxInboundStreams: maxStreams,
    maxOutboundStreams: maxStreams,
    keepAliveInterval: RTT_INTERVAL_MS,
    streamOptions: {
      initialStreamWindowSize: STREAM_WINDOW_BYTES,
      maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES,
      maxReadBufferLength: MAX_READ_BUFFER_BYTES,
    },
  })()
  return () => ({
    protocol: factory.protocol,
    [Symbol.toStringTag]: '@pingo/bounded-yamux',
    createStreamMuxer(connection: MessageStream) {
      connection.maxWriteBufferLength = MAX_CONNECTION_WRITE_BYTES
      const muxer = factory.createStreamMuxer(connection)
      const sink = muxer as unknown as ByteSink
      const take = sink.onData.bind(muxer)
      const guard = new FrameGuard(MAX_STREAM_WINDOW_BYTES)
      sink.onData = (bytes) => {
        if (bytes instanceof Uint8Array) guard.check(bytes)
        else for (const part of bytes) guard.check(part)
        take(bytes)
      }
      return muxer
    },
  })
}

/** Follows the frames of a Yamux connection (hashicorp/yamux spec) and throws at the header of one that is too long. */
export class FrameGuard {
  readonly #maxDataBytes: number
  readonly #header = new Uint8Array(HEADER_BYTES)
  readonly #view = new DataView(this.#header.buffer)
  #headerBytes = 0
  #skip = 0

  constructor(maxDataBytes: number) {
    this.#maxDataBytes = maxDataBytes
  }

  check(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.byteLength) {
      const skipped = Math.min(this.#skip, bytes.byteLength - at)
      this.#skip -= skipped
      at += skipped
      while (this.#skip === 0 && at < bytes.byteLength) {
        this.#header[this.#headerBytes++] = bytes[at++]!
        if (this.#headerBytes < HEADER_BYTES) continue
        this.#headerBytes = 0
        if (this.#header[1] !== DATA_FRAME) continue
        const length = this.#view.getUint32(8)
        if (length > this.#maxDataBytes) throw new Error(`a frame of ${length} bytes is over every window`)
        this.#skip = length
      }
    }
  }
}
