/**
 * Numbers that any language can make again bit by bit, for models and data that are compared across frameworks: element `i` of the
 * stream named `name` is a hash of the two. `fixtures/curves.py` has the same functions in Python.
 */

/** Finalizer of MurmurHash3 (Austin Appleby, public domain): every bit of the input moves every bit of the output. */
export function mix(x: number): number {
  let h = x >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** FNV-1a (Fowler, Noll, Vo) of the name's bytes, 32 bits; names are ASCII. */
export function streamOf(name: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/** A whole number of 32 bits. */
export const hashed = (stream: number, i: number): number => mix((stream ^ mix(i)) >>> 0)

/** In [-1, 1), a multiple of 2^-23: exact in float32. */
export const uniform = (stream: number, i: number): number => (hashed(stream, i) >>> 8) * 2 ** -23 - 1

/** `size` numbers, uniform within ±`bound`; each is one product of doubles, rounded to float32 once. */
export function uniforms(name: string, size: number, bound: number): Float32Array {
  const stream = streamOf(name)
  return Float32Array.from({ length: size }, (_, i) => uniform(stream, i) * bound)
}
