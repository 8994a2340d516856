import { S3Error } from './errors.ts'
import type { Condition, ObjectInfo } from './port.ts'
import type { S3Request } from './request.ts'

const bare = (tag: string): string => tag.trim().replace(/^W\//, '').replaceAll('"', '')

const names = (tags: string, etag: string): boolean =>
  tags.split(',').some((tag) => bare(tag) === '*' || bare(tag) === etag)

/**
 * Judges the conditions of a request about an object (RFC 9110, 13.2.2).
 * @param prefix of the headers: 'x-amz-copy-source-' for the source of a copy
 * @throws S3Error PreconditionFailed
 */
export function isUnmodified(request: S3Request, info: ObjectInfo, prefix = ''): boolean {
  const header = (name: string) => request.header(prefix + name)
  const date = (name: string) => Date.parse(header(name)) // NaN compares as false: an unreadable date is no condition
  const modifiedAt = Math.floor(info.modifiedAt / 1000) * 1000
  const [match, noneMatch] = [header('if-match'), header('if-none-match')]
  if (match !== '' ? !names(match, info.etag) : modifiedAt > date('if-unmodified-since')) throw failed()
  return noneMatch !== '' ? names(noneMatch, info.etag) : modifiedAt <= date('if-modified-since')
}

/** The same for the source of a copy, where unmodified is no answer. */
export function checkSource(request: S3Request, info: ObjectInfo): void {
  if (isUnmodified(request, info, 'x-amz-copy-source-')) throw failed()
}

/** The conditions of a write. @throws S3Error NotImplemented */
export function writeCondition(request: S3Request): Condition {
  const [match, noneMatch] = [request.header('if-match'), request.header('if-none-match')]
  if (noneMatch !== '' && bare(noneMatch) !== '*')
    throw new S3Error('NotImplemented', 'If-None-Match of a write must be *.')
  if (bare(match) === '*') throw new S3Error('NotImplemented', 'If-Match of a write must be an ETag.')
  return { ...(noneMatch === '' ? {} : { ifAbsent: true }), ...(match === '' ? {} : { ifMatch: bare(match) }) }
}

/** Whether a range still belongs to the object (If-Range; RFC 9110, 13.1.5: a weak tag never does). */
export function isRangeCurrent(request: S3Request, info: ObjectInfo): boolean {
  const condition = request.header('if-range')
  if (condition === '' || condition === `"${info.etag}"`) return true
  return Date.parse(condition) === Math.floor(info.modifiedAt / 1000) * 1000
}

const failed = () => new S3Error('PreconditionFailed')
