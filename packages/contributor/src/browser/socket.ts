import {
  CONTRIBUTE_PATH,
  type ContributorMessage,
  decode,
  encode,
  type FogMessage,
  FogMessageSchema,
  MAX_SOCKET_FRAME_BYTES,
  PinGoError,
  type Signer,
  SOCKET_PROOF_TIMEOUT_MS,
  SOCKET_PROOF_TYPE,
  SocketChallengeSchema,
  seal,
} from '@pingo/wire'

/** Bytes that wait for the fog node; a message more ends the connection, and the next one begins with where things stand. */
const MAX_WAITING_BYTES = 1 << 20

export interface FogSocket {
  /** The fog node, as it names itself. */
  readonly fog: string
  send(message: ContributorMessage): void
  close(): void
  /** Resolves with why it ended: for people, empty after {@link close}. */
  readonly closed: Promise<string>
}

/**
 * Opens the contributors' channel to a fog node and proves who this is.
 * @param origin of its gateway, such as `https://fog.example:7070`
 * @throws PinGoError FOG_UNREACHABLE, PEER_REFUSED, MESSAGE_…
 */
export async function openFogSocket(o: {
  origin: string
  signer: Signer
  receive: (message: FogMessage) => void
  signal: AbortSignal
}): Promise<FogSocket> {
  o.signal.throwIfAborted()
  const socket = new WebSocket(`${o.origin.replace(/^http/, 'ws')}${CONTRIBUTE_PATH}`)
  socket.binaryType = 'arraybuffer'
  const closed = Promise.withResolvers<string>()
  const frames = Promise.withResolvers<Uint8Array>()
  frames.promise.catch(() => undefined)
  let wasOpen = false
  let failure: string | undefined
  socket.onopen = () => {
    wasOpen = true
  }
  const over = (why: string) => {
    closed.resolve(why)
    frames.reject(
      wasOpen
        ? new PinGoError('PEER_REFUSED', why || 'The fog node closed the connection.')
        : new PinGoError('FOG_UNREACHABLE', 'The fog node cannot be reached, or takes no more browsers at the moment.'),
    )
  }
  socket.onclose = ({ reason }) => over(failure ?? reasonOf(reason))
  const end = () => socket.close()
  o.signal.addEventListener('abort', end, { once: true })
  void closed.promise.then(() => o.signal.removeEventListener('abort', end))
  socket.onmessage = ({ data }) => frames.resolve(bytesOf(data))
  const timer = setTimeout(() => {
    failure = 'The fog node does not answer.'
    socket.close()
  }, SOCKET_PROOF_TIMEOUT_MS)
  try {
    const challenge = decode(SocketChallengeSchema, await frames.promise, MAX_SOCKET_FRAME_BYTES)
    const { fog, nonce } = challenge
    const proof = await seal(o.signer, SOCKET_PROOF_TYPE, { fog, nonce })
    socket.onmessage = ({ data }) => {
      try {
        o.receive(decode(FogMessageSchema, bytesOf(data), MAX_SOCKET_FRAME_BYTES))
      } catch {
        failure = 'The fog node sent what cannot be read; it may be of another version. Reload the page.'
        socket.close()
      }
    }
    socket.send(proof as Uint8Array<ArrayBuffer>)
    return {
      fog,
      send: (message) => {
        if (socket.readyState !== WebSocket.OPEN) return
        if (socket.bufferedAmount > MAX_WAITING_BYTES) socket.close()
        else socket.send(encode(message) as Uint8Array<ArrayBuffer>)
      },
      close: () => {
        failure ??= ''
        socket.close()
      },
      closed: closed.promise,
    }
  } catch (error) {
    socket.close()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

const bytesOf = (data: unknown): Uint8Array => (data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(0))

const REASONS: Record<string, string> = {
  SIGNATURE_INVALID: 'The fog node did not accept this browser’s signature.',
  PROOF_INVALID: 'The fog node did not accept this browser’s proof of its identity.',
  MESSAGE_INVALID: 'The fog node did not understand this page; it may be of another version. Reload the page.',
}

const reasonOf = (reason: string): string =>
  reason === '' ? 'The connection to the fog node was lost.' : (REASONS[reason] ?? `The fog node ended it: ${reason}.`)
