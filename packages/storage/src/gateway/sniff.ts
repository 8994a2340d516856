/** Bytes of a file's beginning that tell its type. */
export const SNIFFED_BYTES = 512

const BINARY = 'application/octet-stream'
const TEXT = 'text/plain; charset=utf-8'

/** What begins like this is shown by browsers without running anything: images, audio and video. No SVG, no HTML, no PDF. */
const SIGNATURES: [type: string, offset: number, bytes: string][] = [
  ['image/png', 0, '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/gif', 0, 'GIF87a'],
  ['image/gif', 0, 'GIF89a'],
  ['image/webp', 8, 'WEBPVP8'],
  ['image/avif', 4, 'ftypavif'],
  ['audio/wav', 8, 'WAVEfmt '],
  ['audio/mpeg', 0, 'ID3'],
  ['audio/flac', 0, 'fLaC'],
  ['application/ogg', 0, 'OggS'],
  ['video/webm', 0, '\x1aE\xdf\xa3'],
  ['video/mp4', 4, 'ftyp'],
]

/**
 * The type of a file by its first bytes (compare WHATWG MIME Sniffing, whose scriptable types are left out on purpose): pictures, sound
 * and film by their signatures, UTF-8 without control characters as plain text, anything else as bytes.
 */
export function sniff(head: Uint8Array): string {
  const start = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, SNIFFED_BYTES))
  const latin = start.toString('latin1')
  for (const [type, offset, bytes] of SIGNATURES) if (latin.startsWith(bytes, offset)) return type
  return isText(start) ? TEXT : BINARY
}

function isText(bytes: Uint8Array): boolean {
  if (bytes.byteLength === 0) return false
  for (const byte of bytes)
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x0c) return false
  try {
    // what was cut off in the middle of a character is no error
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}
