import { type BlockHandler, type BlockSource, type BlockStore, isPublicBucketPath, type Names } from '@pingo/storage'
import type { Logger } from 'pino'

/** Public folders as buckets for S3 clients, read only: answers paths that begin with a CID or a name. */
export function bucketHandler(o: {
  blocks: BlockStore
  /** Blocks that are not here. */
  source: BlockSource
  names: Names
  clock: () => number
  logger: Logger
}): BlockHandler {
  const { blocks, names, clock, logger } = o
  const get: BlockSource['get'] = async (cid, find) => {
    const here = blocks.has(cid) ? await blocks.get(cid).catch(() => undefined) : undefined
    return here ?? (await o.source.get(cid, find))
  }
  const open = async () => {
    const { PublicBackend, s3Handler } = await import('@pingo/storage/s3')
    return s3Handler(new PublicBackend({ source: { get }, names, clock }), {
      credentials: () => undefined,
      anonymous: true,
      isReadOnly: true,
      clock,
      onFault: (error) => logger.warn({ error }, 'a public bucket could not be read'),
    })
  }
  let handler: ReturnType<typeof open> | undefined
  return (request, response) => {
    if (!isPublicBucketPath(request.url ?? '')) return false
    handler ??= open() // a node that nobody asks starts sooner without it
    handler.then(
      (serve) => serve(request, response),
      () => response.destroy(),
    )
    return true
  }
}
