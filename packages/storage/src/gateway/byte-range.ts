/** One range of bytes of a body of `size` bytes: `end` exclusive. */
export interface ByteSpan {
  start: number
  end: number
}

/**
 * Reads a Range header (RFC 9110, 14.2).
 * @returns undefined when the whole body is to be sent: no header, one that is not understood, or several ranges at once, which a
 *   server may ignore; 'unsatisfiable' for 416
 */
export function parseRange(header: string | undefined, size: number): ByteSpan | 'unsatisfiable' | undefined {
  if (header === undefined) return undefined
  const parts = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header)
  if (!parts || (parts[1] === '' && parts[2] === '')) return undefined
  // numbers of any length: what is beyond a double's exact integers is beyond every body too
  const [first, last] = [Number(parts[1]), Number(parts[2])]
  if (parts[1] === '') {
    if (last === 0) return 'unsatisfiable'
    return size === 0 ? undefined : { start: Math.max(0, size - last), end: size }
  }
  if (parts[2] !== '' && last < first) return undefined
  if (first >= size) return 'unsatisfiable'
  return { start: first, end: parts[2] === '' ? size : Math.min(size, last + 1) }
}
