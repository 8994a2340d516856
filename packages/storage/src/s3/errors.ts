import { isPinGoError } from '@pingo/wire'

/** S3's codes (AWS S3 API reference, "Error responses") with their status and a sentence for when the thrower has no better one. */
const CODES = {
  AccessControlListNotSupported: [400, 'The bucket does not allow ACLs.'],
  AccessDenied: [403, 'Access Denied'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The query parameters of the signature are malformed.'],
  BadDigest: [400, 'A checksum that you sent does not match the body that came.'],
  BucketAlreadyOwnedByYou: [409, 'You have a bucket of this name already.'],
  BucketNotEmpty: [409, 'The bucket is not empty.'],
  EntityTooLarge: [400, 'The upload is larger than an upload may be.'],
  EntityTooSmall: [400, 'A part that is not the last is smaller than 5 MiB.'],
  IncompleteBody: [400, 'The body has fewer or more bytes than the headers say.'],
  InternalError: [500, 'The endpoint failed.'],
  InvalidAccessKeyId: [403, 'This access key is not known here.'],
  InvalidArgument: [400, 'An argument is not valid.'],
  InvalidBucketName: [400, 'A bucket is named by 3 to 63 lower-case letters, digits, dots and hyphens.'],
  InvalidDigest: [400, 'A checksum that you sent is not one.'],
  InvalidPart: [400, 'A part is not there or has another ETag.'],
  InvalidPartOrder: [400, 'The parts are not in ascending order.'],
  InvalidRange: [416, 'The range lies outside of the object.'],
  InvalidRequest: [400, 'The request is not valid.'],
  InvalidURI: [400, 'The address cannot be read.'],
  KeyTooLongError: [400, 'The key is longer than 1024 bytes.'],
  MalformedXML: [400, 'The XML of the body cannot be read.'],
  MaxMessageLengthExceeded: [400, 'The body is too large.'],
  MetadataTooLarge: [400, 'The metadata are larger than 2 KiB.'],
  MethodNotAllowed: [405, 'The method is not known here.'],
  MissingContentLength: [411, 'The request needs a Content-Length.'],
  NoSuchBucket: [404, 'There is no such bucket.'],
  NoSuchBucketPolicy: [404, 'The bucket has no policy.'],
  NoSuchCORSConfiguration: [404, 'The bucket has no CORS configuration.'],
  NoSuchKey: [404, 'There is no such key.'],
  NoSuchLifecycleConfiguration: [404, 'The bucket has no lifecycle configuration.'],
  NoSuchPublicAccessBlockConfiguration: [404, 'The bucket has no public access block.'],
  NoSuchTagSet: [404, 'The bucket has no tags.'],
  NoSuchUpload: [404, 'There is no such upload.'],
  NoSuchVersion: [404, 'There is no such version: objects have none here.'],
  NoSuchWebsiteConfiguration: [404, 'The bucket has no website configuration.'],
  NotImplemented: [501, 'This is not implemented.'],
  ObjectLockConfigurationNotFoundError: [404, 'The bucket has no object lock.'],
  OwnershipControlsNotFoundError: [404, 'The bucket has no ownership controls.'],
  PreconditionFailed: [412, 'A condition of the request does not hold.'],
  QuotaExceeded: [403, 'There is no room left for this.'],
  ReplicationConfigurationNotFoundError: [404, 'The bucket has no replication.'],
  RequestTimeTooSkewed: [403, 'Your clock and that of the endpoint differ too much.'],
  RequestTimeout: [400, 'The body came too slowly.'],
  ServerSideEncryptionConfigurationNotFoundError: [404, 'The bucket has no encryption configuration.'],
  ServiceUnavailable: [503, 'The network cannot do this now. Try again.'],
  SignatureDoesNotMatch: [403, 'The signature does not match. Check the secret key and the clock.'],
  SlowDown: [503, 'Too many requests at once. Try again.'],
  XAmzContentSHA256Mismatch: [400, 'The body does not match x-amz-content-sha256.'],
} as const satisfies Record<string, readonly [status: number, message: string]>

export type S3Code = keyof typeof CODES

/** A refusal in S3's terms: `code` and `message` reach the client, with `details` as elements beside them. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly code: S3Code
  readonly status: number
  readonly details: Record<string, string>

  constructor(code: S3Code, message?: string, options: { details?: Record<string, string>; cause?: unknown } = {}) {
    super(message ?? CODES[code][1], options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = CODES[code][0]
    this.details = options.details ?? {}
  }
}

const FROM_BACKEND: Record<string, S3Code> = {
  BUCKET_MISSING: 'NoSuchBucket',
  BUCKET_EXISTS: 'BucketAlreadyOwnedByYou',
  BUCKET_NOT_EMPTY: 'BucketNotEmpty',
  OBJECT_MISSING: 'NoSuchKey',
  UPLOAD_MISSING: 'NoSuchUpload',
  PART_MISSING: 'InvalidPart',
  PRECONDITION_FAILED: 'PreconditionFailed',
  QUOTA_EXCEEDED: 'QuotaExceeded',
  DISK_FULL: 'QuotaExceeded',
}

/** Any thrown thing as S3 says it. What the network cannot do now is worth another try; a fault of ours shows nothing of itself. */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  if (!isPinGoError(error)) return new S3Error('InternalError', undefined, { cause: error })
  const code = FROM_BACKEND[error.code]
  const said = error.hint ? `${error.message} ${error.hint}` : error.message
  return new S3Error(code ?? 'ServiceUnavailable', said, { cause: error })
}
