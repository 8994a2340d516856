import { PinGoError } from '@pingo/wire'

/** As in `segment.ts` and `sealed-file.ts`, whose ciphers are Node's. */
const RECORD_BYTES = 1 << 20
const TAG_BYTES = 16
const SALT_BYTES = 32
const NONCE_BYTES = 12
const [FILE_DOMAIN, RECORD_DOMAIN] = ['pingo/sealed-file/1', 'pingo/segment/1'].map((text) =>
  new TextEncoder().encode(text),
) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>]

/** All the content of a sealed file (`sealFile`), by WebCrypto: for browsers. @throws PinGoError DATA_TAMPERED */
export async function openSealedFileWeb(key: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
  const count = Math.max(1, Math.ceil((sealed.byteLength - SALT_BYTES) / (RECORD_BYTES + TAG_BYTES)))
  const bytes = sealed.byteLength - SALT_BYTES - TAG_BYTES * count
  if (bytes < 0) throw new PinGoError('DATA_TAMPERED', 'A sealed file is too short to be one.')
  const fileKey = await keyOf(key, sealed.slice(bytes, bytes + SALT_BYTES))
  const content = new Uint8Array(bytes)
  for (let index = 0; index < count; index++) {
    const from = index * RECORD_BYTES
    const record = sealed.subarray(from, Math.min(from + RECORD_BYTES, bytes))
    const tagAt = bytes + SALT_BYTES + index * TAG_BYTES
    const whole = new Uint8Array(record.byteLength + TAG_BYTES)
    whole.set(record)
    whole.set(sealed.subarray(tagAt, tagAt + TAG_BYTES), record.byteLength)
    content.set(await openRecord(fileKey, index, index === count - 1, whole), from)
  }
  return content
}

async function openRecord(
  key: CryptoKey,
  index: number,
  isFinal: boolean,
  whole: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const iv = new Uint8Array(NONCE_BYTES)
  new DataView(iv.buffer).setUint32(NONCE_BYTES - 4, index)
  const additionalData = new Uint8Array(RECORD_DOMAIN.byteLength + 5)
  additionalData.set(RECORD_DOMAIN)
  new DataView(additionalData.buffer).setUint32(RECORD_DOMAIN.byteLength, index)
  additionalData[RECORD_DOMAIN.byteLength + 4] = isFinal ? 1 : 0
  const cipher = { name: 'AES-GCM', iv, additionalData, tagLength: TAG_BYTES * 8 }
  try {
    return new Uint8Array(await crypto.subtle.decrypt(cipher, key, whole))
  } catch {
    throw new PinGoError(
      'DATA_TAMPERED',
      `Record ${index} of a sealed file does not open: its bytes or its key are not those it was sealed with.`,
    )
  }
}

async function keyOf(key: Uint8Array, salt: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', Uint8Array.from(key), 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt, info: FILE_DOMAIN },
    material,
    { name: 'AES-GCM', length: 256 },
    false,
    ['decrypt'],
  )
}
