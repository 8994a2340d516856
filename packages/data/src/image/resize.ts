/** How one output pixel of an axis is mixed from input pixels `from`, `from + 1`, … */
interface Tap {
  from: number
  weights: number[]
}

/**
 * Weights along one axis: when it shrinks, the share of each input pixel in the area of the output pixel; when it grows,
 * linear between the two nearest pixel centres (half-pixel centres, edges held).
 */
function taps(from: number, to: number): Tap[] {
  const ratio = from / to
  return Array.from({ length: to }, (_, i) => {
    if (ratio > 1) {
      const start = i * ratio
      const end = Math.min((i + 1) * ratio, from)
      const first = Math.floor(start)
      const last = Math.min(Math.ceil(end), from) - 1
      const weights = Array.from(
        { length: last - first + 1 },
        (_, k) => (Math.min(end, first + k + 1) - Math.max(start, first + k)) / (end - start),
      )
      return { from: first, weights }
    }
    const centre = Math.min(Math.max((i + 0.5) * ratio - 0.5, 0), from - 1)
    const first = Math.min(Math.floor(centre), Math.max(from - 2, 0))
    const part = centre - first
    return part === 0 ? { from: first, weights: [1] } : { from: first, weights: [1 - part, part] }
  })
}

/**
 * Resizes one plane of bytes, row by row, by area when it shrinks and bilinearly when it grows, each axis by itself.
 * Only sums and products, so every machine gets the same bytes.
 */
export function resizePlane(
  plane: Uint8Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Uint8Array {
  if (width === toWidth && height === toHeight) return plane
  const across = taps(width, toWidth)
  const down = taps(height, toHeight)
  const rows = new Float64Array(height * toWidth)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < toWidth; x++) {
      const { from, weights } = across[x]!
      let sum = 0
      for (let k = 0; k < weights.length; k++) sum += plane[y * width + from + k]! * weights[k]!
      rows[y * toWidth + x] = sum
    }
  }
  const out = new Uint8Array(toWidth * toHeight)
  for (let y = 0; y < toHeight; y++) {
    const { from, weights } = down[y]!
    for (let x = 0; x < toWidth; x++) {
      let sum = 0
      for (let k = 0; k < weights.length; k++) sum += rows[(from + k) * toWidth + x]! * weights[k]!
      out[y * toWidth + x] = Math.min(255, Math.floor(sum + 0.5))
    }
  }
  return out
}
