/** Bits that were written: `length` of them, from the first byte's top bit on. */
export interface Bits {
  readonly bytes: Buffer
  readonly length: number
}

/** A buffer in which cells are written one after another, without an object for each. */
export interface Scratch extends Bits {
  begin(): Scratch
  /** Appends the lowest `count` (≤ 32) bits of `value`. */
  write(value: number, count: number): void
  /** Appends bits `start` to `end` of `from`. */
  copy(from: Buffer, start: number, end: number): void
  /** Ends the cell: descriptors and padding are set, and `cell` holds so many bytes of what its hash covers, before the children's. */
  close(refs: number): number
  readonly cell: Buffer
}

const HEAD_BYTES = 2
const MAX_CELL_BYTES = HEAD_BYTES + 128 + 4 * 34

export function scratch(): Scratch {
  const cell = Buffer.alloc(MAX_CELL_BYTES)
  const bytes = cell.subarray(HEAD_BYTES)
  let length = 0
  const self: Scratch = {
    cell,
    bytes,
    get length() {
      return length
    },
    begin() {
      cell.fill(0)
      length = 0
      return self
    },
    write(value, count) {
      for (let bit = count - 1; bit >= 0; bit--) {
        if ((value >>> bit) & 1) bytes[length >> 3] = (bytes[length >> 3] as number) | (0x80 >> (length & 7))
        length++
      }
    },
    copy(from, start, end) {
      let at = start
      while (at < end && (at & 7) !== 0) self.write(bitAt(from, at++), 1)
      for (; at + 8 <= end; at += 8) self.write(from[at >> 3] as number, 8)
      while (at < end) self.write(bitAt(from, at++), 1)
    },
    close(refs) {
      const full = length >> 3
      const half = (length & 7) !== 0
      cell[0] = refs
      cell[1] = full * 2 + (half ? 1 : 0)
      // a cell that ends within a byte is closed by a one bit and zeros
      if (half) bytes[full] = (bytes[full] as number) | (0x80 >> (length & 7))
      return HEAD_BYTES + full + (half ? 1 : 0)
    },
  }
  return self
}

/** Bit `index` of a key, from its top bit on. */
export function bitAt(key: Buffer, index: number): 0 | 1 {
  return (((key[index >> 3] as number) >> (7 - (index & 7))) & 1) as 0 | 1
}

/** How many bits two keys of 32 bytes have in common at their beginning. */
export function commonPrefix(a: Buffer, b: Buffer): number {
  for (let byte = 0; byte < a.length; byte++) {
    const difference = (a[byte] as number) ^ (b[byte] as number)
    if (difference !== 0) return byte * 8 + Math.clz32(difference) - 24
  }
  return a.length * 8
}

/**
 * An edge's label, `HmLabel` of TL-B: the shortest of its three forms, with the order of preference that the TVM's own
 * dictionaries have (TVM white paper, 3.3.3).
 *
 * @param left - bits of the key that remain at the edge's beginning, the label's among them.
 */
export function writeLabel(out: Scratch, key: Buffer, start: number, end: number, left: number): void {
  const length = end - start
  const lengthBits = 32 - Math.clz32(left)
  const short = 2 * length + 2
  const long = 2 + lengthBits + length
  const same = isUniform(key, start, end) ? 3 + lengthBits : Number.POSITIVE_INFINITY
  if (same < short && same < long) {
    out.write(0b11, 2)
    out.write(bitAt(key, start), 1)
    out.write(length, lengthBits)
  } else if (long < short) {
    out.write(0b10, 2)
    out.write(length, lengthBits)
    out.copy(key, start, end)
  } else {
    out.write(0, 1)
    for (let i = 0; i < length; i++) out.write(1, 1)
    out.write(0, 1)
    out.copy(key, start, end)
  }
}

function isUniform(key: Buffer, start: number, end: number): boolean {
  if (start === end) return false
  const first = bitAt(key, start)
  for (let at = start + 1; at < end; at++) if (bitAt(key, at) !== first) return false
  return true
}

/** TVM's coins: four bits for the bytes, then the amount. */
export function writeCoins(out: Scratch, amount: bigint): void {
  const hex = amount === 0n ? '' : amount.toString(16)
  const bytes = (hex.length + 1) >> 1
  out.write(bytes, 4)
  const padded = hex.padStart(bytes * 2, '0')
  for (let i = 0; i < bytes; i++) out.write(Number.parseInt(padded.slice(2 * i, 2 * i + 2), 16), 8)
}
