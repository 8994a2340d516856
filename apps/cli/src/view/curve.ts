const BARS = '▁▂▃▄▅▆▇█'

/** The last values as a line of bars, `width` characters at most; the scale goes from the least to the greatest of them. */
export function curve(values: readonly number[], width: number): string {
  const finite = values.filter(Number.isFinite)
  if (finite.length < 2 || width < 2) return ''
  const points = resample(finite, Math.min(width, finite.length))
  const [least, most] = [Math.min(...points), Math.max(...points)]
  const step = (most - least) / (BARS.length - 1)
  return points.map((value) => BARS[step > 0 ? Math.round((value - least) / step) : 0]).join('')
}

/** `n` means of about equally many neighbours each. */
function resample(values: readonly number[], n: number): number[] {
  return Array.from({ length: n }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / n), Math.floor(((i + 1) * values.length) / n))
    return part.reduce((sum, value) => sum + value, 0) / part.length
  })
}

/** A bar of `width` characters, filled to `part` of it by eighths. */
export function bar(part: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, part)) * width * 8)
  const full = Math.floor(eighths / 8)
  const rest = full < width ? ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8]! : ''
  return `${'█'.repeat(full)}${rest}`.padEnd(width, '░')
}
