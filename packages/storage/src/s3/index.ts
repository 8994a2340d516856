/**
 * An endpoint that speaks Amazon's S3 over any store of named objects: what it needs of one is {@link ObjectBackend}. aws-cli, rclone
 * and the AWS SDKs work with it unmodified.
 *
 * @example
 * ```ts
 * const handle = s3Handler(backend, { credentials: (id) => (id === accessKeyId ? secret : undefined) })
 * createServer(S3_SERVER_OPTIONS, handle).listen(9000, '127.0.0.1')
 * ```
 * @module
 */

export { S3_SERVER_OPTIONS, type S3Options, s3Handler } from './handler.ts'
export * from './limits.ts'
export * from './port.ts'
export { isPublicBucketPath, PublicBackend, type PublicBackendOptions } from './public-backend.ts'
