import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { S3_SERVER_OPTIONS, type S3Options, s3Handler } from '../handler.ts'
import type { ObjectBackend, ObjectReader } from '../port.ts'

export const ACCESS_KEY = 'PINGOTESTKEY'
export const SECRET = 'pingo/test+secret'

export interface TestEndpoint extends AsyncDisposable {
  url: string
  /** Faults that clients were told nothing of. */
  faults: unknown[]
}

/** An endpoint on loopback with one access key. */
export async function serveS3(
  backend: ObjectBackend | ObjectReader,
  o: Partial<S3Options> = {},
): Promise<TestEndpoint> {
  const faults: unknown[] = []
  const handle = s3Handler(backend, {
    credentials: (id) => (id === ACCESS_KEY ? SECRET : undefined),
    onFault: (error) => faults.push(error),
    ...o,
  })
  const server = createServer(S3_SERVER_OPTIONS, handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
