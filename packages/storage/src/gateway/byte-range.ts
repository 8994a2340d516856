/** One range of bytes of a body of `size` bytes: `end` exclusive. */
export interface ByteSpan {
  start: number
  end: number
}

/**
 * Reads a Range header (RFC 9110, 14.2).
 * @returns undefined when the whole body is to be sent (no header, or one that is not understood), 'unsatisfiable' for 416, also
 *   for several ranges at once, which are not served
 */
export function parseRange(header: string | undefined, size: number): ByteSpan | 'unsatisfiable' | undefined {
  if (header === undefined || !/^bytes=/i.test(header)) return undefined
  if (header.includes(',')) return 'unsatisfiable'
  const parts = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header)
  if (!parts || (parts[1] === '' && parts[2] === '')) return undefined
  const [, first, last] = parts as unknown as [string, string, string]
  if (first === '') {
    const length = Math.min(size, Number(last))
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size }
  }
  const start = Number(first)
  const end = last === '' ? size : Math.min(size, Number(last) + 1)
  if (last !== '' && Number(last) < start) return undefined
  return start >= size ? 'unsatisfiable' : { start, end }
}
