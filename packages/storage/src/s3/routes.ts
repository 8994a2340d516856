import type { Call } from './call.ts'
import { type S3Code, S3Error } from './errors.ts'
import * as buckets from './operations/buckets.ts'
import { listObjects } from './operations/lists.ts'
import * as multipart from './operations/multipart.ts'
import { deleteObject, getObject, objectTags, putObject } from './operations/objects.ts'
import type { S3Request } from './request.ts'

export type Operation = (call: Call) => Promise<void>

/** `METHOD level[?subresource]`. */
const OPERATIONS: Record<string, Operation> = {
  'GET service': buckets.listBuckets,
  'PUT bucket': buckets.createBucket,
  'HEAD bucket': buckets.headBucket,
  'DELETE bucket': buckets.deleteBucket,
  'GET bucket': listObjects,
  'GET bucket?acl': buckets.accessControl,
  'GET bucket?location': buckets.bucketLocation,
  'GET bucket?uploads': multipart.listUploads,
  'GET bucket?versioning': buckets.bucketVersioning,
  'POST bucket?delete': buckets.deleteObjects,
  'PUT object': putObject,
  'GET object': getObject,
  'HEAD object': getObject,
  'DELETE object': deleteObject,
  'GET object?acl': buckets.accessControl,
  'GET object?tagging': objectTags,
  'POST object?uploads': multipart.createUpload,
  'PUT object?uploadId': multipart.putPart,
  'GET object?uploadId': multipart.listParts,
  'POST object?uploadId': multipart.completeUpload,
  'DELETE object?uploadId': multipart.abortUpload,
}

/** What a bucket here never has, as S3 says it of one without: clients ask for these and go on. */
const ABSENT: Record<string, S3Code> = {
  'GET bucket?cors': 'NoSuchCORSConfiguration',
  'GET bucket?encryption': 'ServerSideEncryptionConfigurationNotFoundError',
  'GET bucket?lifecycle': 'NoSuchLifecycleConfiguration',
  'GET bucket?object-lock': 'ObjectLockConfigurationNotFoundError',
  'GET bucket?ownershipControls': 'OwnershipControlsNotFoundError',
  'GET bucket?policy': 'NoSuchBucketPolicy',
  'GET bucket?policyStatus': 'NoSuchBucketPolicy',
  'GET bucket?publicAccessBlock': 'NoSuchPublicAccessBlockConfiguration',
  'GET bucket?replication': 'ReplicationConfigurationNotFoundError',
  'GET bucket?tagging': 'NoSuchTagSet',
  'GET bucket?website': 'NoSuchWebsiteConfiguration',
}

/** Query parameters that ask for something else than the bucket or object itself; those that are not in a table above are not implemented. */
const SUBRESOURCES = new Set([
  ...[...Object.keys(OPERATIONS), ...Object.keys(ABSENT)].flatMap((route) => route.split('?')[1] ?? []),
  ...['accelerate', 'analytics', 'attributes', 'intelligent-tiering', 'inventory', 'legal-hold', 'logging', 'metrics'],
  ...[
    'notification',
    'renameObject',
    'requestPayment',
    'restore',
    'retention',
    'select',
    'session',
    'torrent',
    'versions',
  ],
])

/** @throws S3Error when there is no such operation, or nothing of the kind in any bucket */
export function operationOf(request: S3Request): Operation {
  const { method, bucket, key } = request
  const level = bucket === undefined ? 'service' : key === undefined ? 'bucket' : 'object'
  const [subresource] = request.query.find(([name]) => SUBRESOURCES.has(name)) ?? []
  const route = `${method} ${level}${subresource === undefined ? '' : `?${subresource}`}`
  if (Object.hasOwn(OPERATIONS, route)) return OPERATIONS[route]!
  if (Object.hasOwn(ABSENT, route)) throw new S3Error(ABSENT[route]!)
  if (!['GET', 'HEAD', 'PUT', 'POST', 'DELETE'].includes(method)) throw new S3Error('MethodNotAllowed')
  throw subresource === undefined && level !== 'bucket'
    ? new S3Error('MethodNotAllowed')
    : new S3Error('NotImplemented', `${route} is not implemented.`)
}
