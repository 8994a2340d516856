import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { S3_SERVER_OPTIONS, s3Handler } from '@pingo/storage/s3'
import { PinGoError, validate } from '@pingo/wire'
import { z } from 'zod'
import { writePrivate } from './part-file.ts'
import type { Store } from './store.ts'

/** The endpoint's access key, in the home folder (0600). */
export const S3_KEY_FILE = 's3-key.json'
const KeySchema = z.strictObject({
  accessKeyId: z.string().min(8).max(64),
  secretAccessKey: z.string().min(16).max(128),
})
export type S3Key = z.infer<typeof KeySchema>
/** The index is backed up this long after a change, and not more often. */
const BACKUP_PAUSE_MS = 3_000
/** Requests that run when the endpoint is asked to end are waited for so long. */
const END_MS = 10_000

export interface ServeOptions {
  home: string
  /** 0 takes a free one. */
  port: number
  /** Made when it is not there. */
  bucket?: string
  /** Hears what does not end the endpoint: a backup that failed, a fault. */
  onNote?(note: string): void
}

export interface StoreEndpoint {
  url: string
  key: S3Key
  /** Ends it when the requests under way have ended; then the index is backed up. */
  close(): Promise<void>
}

/** Serves a store as S3 on loopback: data are encrypted before they leave this process. */
export async function serveStore(store: Store, o: ServeOptions): Promise<StoreEndpoint> {
  const key = await loadS3Key(o.home)
  const end = new AbortController()
  let wake: () => void = () => undefined
  let isChanged = false
  const backend = store.backend({
    onChange: () => {
      isChanged = true
      wake()
    },
  })
  if (o.bucket !== undefined && !(await backend.headBucket(o.bucket))) await backend.createBucket(o.bucket)
  const handle = s3Handler(backend, {
    credentials: (id) => (id === key.accessKeyId ? key.secretAccessKey : undefined),
    onFault: (error) => o.onNote?.(error instanceof Error ? error.message : String(error)),
  })
  const server = createServer(S3_SERVER_OPTIONS, handle)
  await listen(server, o.port)
  const backups = (async () => {
    while (!end.signal.aborted) {
      if (!isChanged) await new Promise<void>((resolve) => (wake = resolve))
      isChanged = false
      const began = performance.now()
      const note = await store.settle({ keepsGarbage: true }).catch((error: Error) => error.message)
      if (note !== undefined) {
        o.onNote?.(note)
        isChanged = true
      }
      // a large index costs more to back up: it takes a tenth of the time at most
      const pause = Math.max(BACKUP_PAUSE_MS, 10 * (performance.now() - began))
      await sleep(pause, undefined, { signal: end.signal }).catch(() => undefined)
    }
  })()
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), END_MS)
      await closed
      clearTimeout(timer)
      end.abort()
      wake()
      await backups
      const note = await store.settle()
      if (note !== undefined) o.onNote?.(note)
    },
  }
}

/** The access key of this home; a new one where there is none. @throws PinGoError S3_KEY_UNREADABLE */
export async function loadS3Key(home: string): Promise<S3Key> {
  const file = join(home, S3_KEY_FILE)
  try {
    return validate(KeySchema, JSON.parse(await readFile(file, 'utf8')), 'access key')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new PinGoError('S3_KEY_UNREADABLE', `The access key in ${file} cannot be read.`, {
        hint: 'Delete the file: a new key is made, which your tools must be told.',
        cause,
      })
  }
  const key = {
    accessKeyId: `PINGO${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
  }
  await writePrivate(file, `${JSON.stringify(key, null, 2)}\n`)
  return key
}

function listen(server: ReturnType<typeof createServer>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error)
      reject(
        new PinGoError('PORT_IN_USE', `Port ${port} on 127.0.0.1 is already in use.`, {
          hint: 'Choose another with --port, or --port 0 for any free one.',
        }),
      )
    })
    server.listen(port, '127.0.0.1', resolve)
  })
}
