import { createHash } from 'node:crypto'
import { signingKey, signRequest } from '../auth/canonical.ts'
import { ACCESS_KEY, SECRET } from './serve.ts'

export interface ToSign {
  method?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  /** x-amz-content-sha256; the SHA-256 of the body by default. */
  payload?: string
}

/** The headers of a request that {@link serveS3} admits, whatever else is wrong with it. */
export function sign(
  address: string,
  { method = 'GET', headers = {}, body, payload }: ToSign = {},
): Record<string, string> {
  const url = new URL(address)
  const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = { day: date.slice(0, 8), region: 'us-east-1', service: 's3' }
  const sha256 =
    payload ??
    createHash('sha256')
      .update(body ?? '')
      .digest('hex')
  const all: Record<string, string> = { ...headers, host: url.host, 'x-amz-date': date, 'x-amz-content-sha256': sha256 }
  const signedHeaders = Object.keys(all).sort()
  const signature = signRequest(signingKey(SECRET, scope), date, scope, {
    method,
    path: decodeURIComponent(url.pathname),
    query: [...url.searchParams],
    signedHeaders,
    header: (name) => all[name]!,
    payload: sha256,
  })
  const credential = `${ACCESS_KEY}/${scope.day}/us-east-1/s3/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
  return { ...all, authorization }
}
