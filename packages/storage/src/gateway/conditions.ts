import type { IncomingMessage } from 'node:http'
import { PinGoError } from '@pingo/wire'
import { type ByteSpan, parseRange } from './byte-range.ts'

/** An entity tag as it is written (RFC 9110, 8.8.3); a comma may stand in it. */
const TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

const tagsOf = (list: string): string[] => list.match(TAG) ?? []
const isWeak = (tag: string): boolean => tag.startsWith('W/')
const opaque = (tag: string): string => (isWeak(tag) ? tag.slice(2) : tag)

/**
 * Evaluates the conditions of a request in the order of RFC 9110, 13.2.2. What is under a CID has no date: those by date do not count.
 * @param tag of what would be sent, which is here
 * @returns whether the asker has it already (304)
 * @throws PinGoError PRECONDITION_FAILED when If-Match does not name it (412)
 */
export function isCurrent(request: IncomingMessage, tag: string): boolean {
  const { 'if-match': wanted, 'if-none-match': known } = request.headers
  if (wanted !== undefined && wanted.trim() !== '*' && (isWeak(tag) || !tagsOf(wanted).includes(tag)))
    throw new PinGoError('PRECONDITION_FAILED', 'What is here has another tag than If-Match names.')
  if (known === undefined) return false
  return known.trim() === '*' || tagsOf(known).some((each) => opaque(each) === opaque(tag))
}

/** The bytes that a request wants of a body; GET alone has ranges (RFC 9110, 14.2). */
export function rangeOf(request: IncomingMessage, tag: string, size: number): ByteSpan | 'unsatisfiable' | undefined {
  if (request.method !== 'GET') return undefined
  const condition = request.headers['if-range']
  if (condition !== undefined && (isWeak(tag) || String(condition).trim() !== tag)) return undefined
  return parseRange(request.headers.range, size)
}
