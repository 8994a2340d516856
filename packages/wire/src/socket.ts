import { z } from 'zod'
import { MAX_CONTROL_MESSAGE_BYTES } from './messages.ts'

/**
 * The contributors' channel for those who cannot speak libp2p: a WebSocket at the gateway, a message of canonical dag-cbor in each binary
 * frame. The fog node says its name and a nonce; the contributor answers with both in a signed envelope, which proves its identity to
 * this fog node on this connection and to nobody else. From then on it is the channel of `messages.ts`.
 */
export const CONTRIBUTE_PATH = '/v1/contribute'
/** Type of the signed envelope that holds a {@link SocketProofSchema}. */
export const SOCKET_PROOF_TYPE = 'pingo/socket-proof/1'
export const SOCKET_NONCE_BYTES = 32
/** Longest frame, either way, bytes. */
export const MAX_SOCKET_FRAME_BYTES = MAX_CONTROL_MESSAGE_BYTES
/** Longest proof, bytes. */
export const MAX_SOCKET_PROOF_BYTES = 1 << 10
/** The proof must have come so long after the connection. */
export const SOCKET_PROOF_TIMEOUT_MS = 10_000

const PeerId = z.string().min(1).max(100)
const Nonce = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.byteLength === SOCKET_NONCE_BYTES,
  `is not ${SOCKET_NONCE_BYTES} bytes`,
)

/** Fog node → contributor, the first frame. */
export const SocketChallengeSchema = z.strictObject({ type: z.literal('challenge'), fog: PeerId, nonce: Nonce })
export type SocketChallenge = z.infer<typeof SocketChallengeSchema>

/** Contributor → fog node, sealed: whom it wants to work for, and that it is here now. */
export const SocketProofSchema = z.strictObject({ fog: PeerId, nonce: Nonce })
