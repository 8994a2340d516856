import { createHash } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { domainDataToSign } from '@ton/core'
import { z } from 'zod'
import { MAINNET, TESTNET } from '../endpoint/networks.ts'

/** Bytes of UTF-8 that the domain and the payload may have, each and together: what hardware wallets take (TON Connect). */
export const MAX_DOMAIN_BYTES = 128
export const MAX_PAYLOAD_BYTES = 128
export const MAX_DOMAIN_AND_PAYLOAD_BYTES = 222
/** Characters of base64 of a wallet's initial state; a W5 has some 1,000. */
export const MAX_STATE_CHARACTERS = 4096
/** Bytes of the whole request. */
export const MAX_REQUEST_BYTES = 8192
/** Cells of a wallet's initial state; a W5 has 22. */
export const MAX_STATE_CELLS = 64

/** Base64, one text for the same bytes: the bits that its last character has too many are 0. */
const Base64 = z.base64().refine((text) => Buffer.from(text, 'base64').toString('base64') === text)

/** What an app sends after a wallet was connected: `wallet.account` and `wallet.connectItems.tonProof.proof` of @tonconnect/sdk. */
export const TonProofRequest = z.object({
  account: z.object({
    /** Raw form, workchain and hash. */
    address: z.string().regex(/^(0|-1):[0-9a-fA-F]{64}$/),
    /** Network: -239, -3, or another chain's global id. */
    chain: z.string().regex(/^-?[0-9]{1,10}$/),
    /** BOC, base64. */
    walletStateInit: Base64.max(MAX_STATE_CHARACTERS),
    /** Hex. A claim only: the key that counts is the state's. */
    publicKey: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/)
      .optional(),
  }),
  proof: z.object({
    /** Seconds since 1970; some wallets send a string. */
    timestamp: z.union([
      z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
      z.string().regex(/^[0-9]{1,12}$/),
    ]),
    domain: z.object({
      lengthBytes: z.number().int().nonnegative().max(MAX_DOMAIN_BYTES),
      value: z.string().min(1).max(MAX_DOMAIN_BYTES),
    }),
    payload: z.string().min(1).max(MAX_PAYLOAD_BYTES),
    /** 64 bytes, base64. */
    signature: Base64.length(88),
  }),
})
export type TonProofRequest = z.infer<typeof TonProofRequest>

/** Reads what an app has sent: text, or what it was parsed to. @throws PinGoError TON_PROOF_MALFORMED */
export function parseTonProof(request: unknown): TonProofRequest {
  const malformed = (why: string, cause?: unknown) =>
    new PinGoError('TON_PROOF_MALFORMED', `The wallet's proof is not in TON Connect's form: ${why}.`, { cause })
  let value = request
  if (typeof request === 'string') {
    if (Buffer.byteLength(request) > MAX_REQUEST_BYTES) throw malformed('it is too large')
    try {
      value = JSON.parse(request)
    } catch (cause) {
      throw malformed('it is no JSON', cause)
    }
  }
  const parsed = TonProofRequest.safeParse(value)
  if (!parsed.success) throw malformed(parsed.error.issues[0]?.path.join('.') || 'it is no object', parsed.error)
  const { domain, payload } = parsed.data.proof
  // half a surrogate pair would be replaced by another character where it becomes bytes
  if (!domain.value.isWellFormed() || !payload.isWellFormed()) throw malformed('it is no Unicode')
  const [domainBytes, payloadBytes] = [Buffer.byteLength(domain.value), Buffer.byteLength(payload)]
  if (domainBytes > MAX_DOMAIN_BYTES || payloadBytes > MAX_PAYLOAD_BYTES) throw malformed('it is too large')
  if (domainBytes + payloadBytes > MAX_DOMAIN_AND_PAYLOAD_BYTES) throw malformed('it is too large')
  return parsed.data
}

/**
 * The bytes that a wallet signs for a proof (TON Connect, `ton_proof`), behind the signature domain of the network: that of TON's own
 * networks is empty, another chain's is its global id's.
 *
 * @param timestamp - seconds since 1970.
 */
export function tonProofBytes(proof: {
  workchain: number
  hash: Uint8Array
  domain: string
  timestamp: bigint
  payload: string
  network: number
}): Buffer {
  const domain = Buffer.from(proof.domain)
  const head = Buffer.alloc(4)
  head.writeInt32BE(proof.workchain)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(domain.length)
  const time = Buffer.alloc(8)
  time.writeBigUInt64LE(proof.timestamp)
  const item = ['ton-proof-item-v2/', head, proof.hash, length, domain, time, proof.payload]
  const digest = sha256([Buffer.from([0xff, 0xff]), 'ton-connect', sha256(item)])
  return domainDataToSign(digest, signatureDomain(proof.network))
}

/** Where signatures of a network hold: TON's own have none, another chain's hold there alone. */
export function signatureDomain(network: number): { type: 'empty' } | { type: 'l2'; globalId: number } {
  return network === MAINNET || network === TESTNET ? { type: 'empty' } : { type: 'l2', globalId: network }
}

function sha256(parts: readonly (string | Uint8Array)[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
