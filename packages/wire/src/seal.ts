import { encode } from './encoding.ts'

const DOMAIN = 'pingo/envelope/1'

/** Who signs: all that sealing needs of an identity, wherever its key lies. */
export interface Signer {
  readonly peerId: string
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** What is signed of a message: the type too, so that no message passes for another. */
export const signedBytes = (type: string, payload: Uint8Array): Uint8Array => encode([DOMAIN, type, payload])

/** Signs `value` (canonical bytes) as a message of `type`; `unseal` opens it. */
export async function seal(signer: Signer, type: string, value: unknown): Promise<Uint8Array> {
  const payload = encode(value)
  const signature = await signer.sign(signedBytes(type, payload))
  return encode({ type, from: signer.peerId, payload, signature })
}
