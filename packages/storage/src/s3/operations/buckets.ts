import { readBody } from '../body/upload.ts'
import { bucketOf, type Call, isoDate, sendEmpty, sendXml, writerOf } from '../call.ts'
import { S3Error, toS3Error } from '../errors.ts'
import { MAX_PAGE } from '../limits.ts'
import { checkKey } from '../request.ts'
import { children, parseXml, text, type XmlTree, xml } from '../xml.ts'

/** All objects are the endpoint's owner's. */
export const OWNER = { ID: 'pingo', DisplayName: 'pingo' }

const DELETES_AT_ONCE = 16

export async function listBuckets(call: Call): Promise<void> {
  const buckets = await call.reader.listBuckets(call)
  const Bucket = buckets.map(({ name, createdAt }) => ({ Name: name, CreationDate: isoDate(createdAt) }))
  sendXml(call, xml('ListAllMyBucketsResult', { Owner: OWNER, Buckets: { Bucket } }))
}

export async function createBucket(call: Call): Promise<void> {
  const body = await readBody(call.request, call.identity, call.paceMs)
  if (body.trim() !== '') parseXml(body, 'CreateBucketConfiguration') // its location is where this endpoint is
  await writerOf(call).createBucket(bucketOf(call), call)
  sendEmpty(call, 200, { location: `/${bucketOf(call)}` })
}

export async function deleteBucket(call: Call): Promise<void> {
  await writerOf(call).deleteBucket(bucketOf(call), call)
  sendEmpty(call, 204)
}

export async function headBucket(call: Call): Promise<void> {
  await existing(call)
  sendEmpty(call, 200, { 'x-amz-bucket-region': call.region })
}

export async function bucketLocation(call: Call): Promise<void> {
  await existing(call)
  sendXml(call, xml('LocationConstraint', call.region === 'us-east-1' ? '' : call.region))
}

/** Objects have no versions. */
export async function bucketVersioning(call: Call): Promise<void> {
  await existing(call)
  sendXml(call, xml('VersioningConfiguration', ''))
}

/** Buckets and objects have no ACL but the owner's. */
export async function accessControl(call: Call): Promise<void> {
  await existing(call)
  if (call.request.key !== undefined && !(await call.reader.head(bucketOf(call), call.request.key, call)))
    throw new S3Error('NoSuchKey')
  const Grantee = { ID: OWNER.ID, DisplayName: OWNER.DisplayName }
  sendXml(
    call,
    xml('AccessControlPolicy', { Owner: OWNER, AccessControlList: { Grant: { Grantee, Permission: 'FULL_CONTROL' } } }),
  )
}

export async function deleteObjects(call: Call): Promise<void> {
  const body = parseXml(await readBody(call.request, call.identity, call.paceMs), 'Delete')
  const keys = children(body, 'Object').map((object) => text(object, 'Key'))
  if (keys.length === 0 || keys.length > MAX_PAGE)
    throw new S3Error('MalformedXML', `Name 1 to ${MAX_PAGE} objects to delete.`)
  const isQuiet = text(body, 'Quiet') === 'true'
  const writer = writerOf(call)
  await existing(call)
  const Deleted: XmlTree[] = []
  const Errors: XmlTree[] = []
  const remove = async (key: string | undefined): Promise<void> => {
    try {
      if (!key) throw new S3Error('MalformedXML', 'An object to delete has no key.')
      checkKey(key)
      await writer.delete(bucketOf(call), key, call)
      if (!isQuiet) Deleted.push({ Key: key })
    } catch (error) {
      const { code, message } = toS3Error(error)
      Errors.push({ Key: key, Code: code, Message: message })
    }
  }
  for (let at = 0; at < keys.length; at += DELETES_AT_ONCE)
    await Promise.all(keys.slice(at, at + DELETES_AT_ONCE).map(remove))
  sendXml(call, xml('DeleteResult', { Deleted, Error: Errors }))
}

/** @throws S3Error NoSuchBucket */
async function existing(call: Call): Promise<void> {
  if (!(await call.reader.headBucket(bucketOf(call), call))) throw new S3Error('NoSuchBucket')
}
