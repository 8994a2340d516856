import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
/** How much longer a box is than what is in it. */
export const BOX_OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES

/** Seals a small thing under a key that seals many (fewer than 2³²): AES-256-GCM, random nonce in front, tag behind. `context` must be told again to open it. */
export function sealBox(key: Uint8Array, context: string, plaintext: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** What is in a box; undefined when key, context or box are others. */
export function openBox(key: Uint8Array, context: string, box: Uint8Array): Uint8Array | undefined {
  if (box.byteLength < BOX_OVERHEAD_BYTES) return undefined
  const tagAt = box.byteLength - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context)).setAuthTag(box.subarray(tagAt))
  try {
    return Buffer.concat([decipher.update(box.subarray(NONCE_BYTES, tagAt)), decipher.final()])
  } catch {
    return undefined
  }
}
