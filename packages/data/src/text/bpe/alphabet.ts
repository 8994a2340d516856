/**
 * The printable character that stands for each byte in a byte-level vocabulary (Radford et al. 2019, as in every tokenizer.json): itself
 * where it is printable, else one from U+0100 on; a space is Ġ.
 */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 0x100
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
})()

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]))

/** The bytes of a token; undefined when a character stands for none. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = BYTES.get(token[i]!)
    if (byte === undefined) return undefined
    bytes[i] = byte
  }
  return bytes
}

/** Where a text may be cut into words before pairs are merged: GPT-2's pattern (Radford et al. 2019). */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** A text's words with the space in front of them; together they are the text. */
export const wordsOf = (text: string): string[] => text.match(WORDS) ?? []

/** Characters held back at most while no place to cut is found. */
const MAX_HELD_CHARS = 1 << 20

/**
 * How much of a text may be cut into words before the rest of it is known: up to the last white space behind something else. No word
 * goes on across such a place.
 */
export function safeLength(text: string): number {
  for (let i = text.length - 1; i > 0; i--) if (/\s/.test(text[i]!) && /\S/.test(text[i - 1]!)) return i
  if (text.length < MAX_HELD_CHARS) return 0
  // Not within a pair of surrogates.
  return /[\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length
}
