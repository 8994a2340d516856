/** Tables for eight bytes a step (Kounavis & Berry, "Slicing-by-8", 2005). */
const SLICES = 8

function tables32(polynomial: number): Uint32Array {
  const table = new Uint32Array(256 * SLICES)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const crc = table[at - 256]!
    table[at] = (crc >>> 8) ^ table[crc & 255]!
  }
  return table
}

/** Low halves, then high halves. */
function tables64(low: number, high: number): [Uint32Array, Uint32Array] {
  const [lows, highs] = [new Uint32Array(256 * SLICES), new Uint32Array(256 * SLICES)]
  for (let byte = 0; byte < 256; byte++) {
    let [lo, hi] = [byte, 0]
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = lo & 1
      lo = (lo >>> 1) | (hi << 31)
      hi >>>= 1
      if (isOdd) {
        lo ^= low
        hi ^= high
      }
    }
    lows[byte] = lo
    highs[byte] = hi
  }
  for (let at = 256; at < lows.length; at++) {
    const [lo, hi] = [lows[at - 256]!, highs[at - 256]!]
    lows[at] = ((lo >>> 8) | (hi << 24)) ^ lows[lo & 255]!
    highs[at] = (hi >>> 8) ^ highs[lo & 255]!
  }
  return [lows, highs]
}

let castagnoli: Uint32Array | undefined
let nvme: [Uint32Array, Uint32Array] | undefined

/** CRC-32C (Castagnoli; RFC 3720, appendix B.4), going on from `crc`, which is 0 at first. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  const t = (castagnoli ??= tables32(0x82f63b78))
  let c = ~crc
  let at = 0
  for (const last = bytes.length - 7; at < last; at += 8) {
    c ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    c =
      t[1792 + (c & 255)]! ^
      t[1536 + ((c >>> 8) & 255)]! ^
      t[1280 + ((c >>> 16) & 255)]! ^
      t[1024 + (c >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!
  }
  for (; at < bytes.length; at++) c = (c >>> 8) ^ t[(c ^ bytes[at]!) & 255]!
  return ~c >>> 0
}

/** A CRC of 64 bits in halves, because a BigInt for every byte would be slow. */
export interface Crc64 {
  low: number
  high: number
}

/** CRC-64/NVME (NVM Express, NVM Command Set specification 1.0, 5.2.1.3.4), going on from `crc`. */
export function crc64nvme(bytes: Uint8Array, crc: Crc64 = { low: 0, high: 0 }): Crc64 {
  const [lows, highs] = (nvme ??= tables64(0xac4bc9b5, 0x9a6c9329))
  let [lo, hi] = [~crc.low, ~crc.high]
  let at = 0
  for (const last = bytes.length - 7; at < last; at += 8) {
    lo ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hi ^= bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)
    const [a, b, c, d] = [1792 + (lo & 255), 1536 + ((lo >>> 8) & 255), 1280 + ((lo >>> 16) & 255), 1024 + (lo >>> 24)]
    const [e, f, g, h] = [768 + (hi & 255), 512 + ((hi >>> 8) & 255), 256 + ((hi >>> 16) & 255), hi >>> 24]
    lo = lows[a]! ^ lows[b]! ^ lows[c]! ^ lows[d]! ^ lows[e]! ^ lows[f]! ^ lows[g]! ^ lows[h]!
    hi = highs[a]! ^ highs[b]! ^ highs[c]! ^ highs[d]! ^ highs[e]! ^ highs[f]! ^ highs[g]! ^ highs[h]!
  }
  for (; at < bytes.length; at++) {
    const index = (lo ^ bytes[at]!) & 255
    lo = ((lo >>> 8) | (hi << 24)) ^ lows[index]!
    hi = (hi >>> 8) ^ highs[index]!
  }
  return { low: ~lo >>> 0, high: ~hi >>> 0 }
}
