import * as dagCbor from '@ipld/dag-cbor'
import type { z } from 'zod'
import { PinGoError } from './errors.ts'

/** Canonical bytes (strict dag-cbor): equal values have equal bytes. Bytes may be any Uint8Array; `undefined` members are left out. */
export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(withoutUndefined(value))
}

/**
 * Decodes and validates bytes that came from outside.
 * @param maxBytes refused when longer, before anything is decoded
 * @throws PinGoError MESSAGE_TOO_LARGE, MESSAGE_MALFORMED, MESSAGE_INVALID
 */
export function decode<S extends z.ZodType>(schema: S, bytes: Uint8Array, maxBytes: number): z.output<S> {
  if (bytes.byteLength > maxBytes)
    throw new PinGoError(
      'MESSAGE_TOO_LARGE',
      `A message of ${bytes.byteLength} bytes is over the limit of ${maxBytes}.`,
    )
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
  } catch (cause) {
    throw new PinGoError('MESSAGE_MALFORMED', 'A message is not canonical dag-cbor.', { cause })
  }
  return validate(schema, value)
}

/** Validates a value against its schema; the first fault is named by its path. @throws PinGoError MESSAGE_INVALID */
export function validate<S extends z.ZodType>(schema: S, value: unknown, what = 'message'): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const path = issue.path.map(String).join('.')
  throw new PinGoError('MESSAGE_INVALID', `Invalid ${what}: ${path ? `${path}: ` : ''}${issue.message}`, {
    details: { path },
  })
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return value
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, withoutUndefined(member)]),
  )
}
