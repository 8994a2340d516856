import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { decodeChunks } from '../body/aws-chunked.ts'
import { Checksums } from '../body/checksums.ts'
import { type S3Code, S3Error } from '../errors.ts'
import { readRequest } from '../request.ts'
import { authenticate, type Identity } from './authenticate.ts'
import { EMPTY_SHA256, uriEncode } from './canonical.ts'

/*
 * The examples that AWS publishes, with its keys and its signatures:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, sigv4-query-string-auth.html, sigv4-streaming.html,
 * sigv4-streaming-trailers.html
 */
const KEY = 'AKIAIOSFODNN7EXAMPLE'
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const AT = Date.UTC(2013, 4, 24)
const DATE = '20130524T000000Z'

interface Sent {
  method?: string
  url: string
  headers?: Record<string, string>
}

function requestOf({ method = 'GET', url, headers = {} }: Sent) {
  const all = { host: 'examplebucket.s3.amazonaws.com', ...headers }
  const headersDistinct = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]]))
  return readRequest({ method, url, headersDistinct } as unknown as IncomingMessage, ['s3.amazonaws.com'])
}

const check = (sent: Sent, o: { clock?: number; secret?: string } = {}): Promise<Identity> =>
  authenticate(requestOf(sent), {
    credentials: (id) => (id === KEY ? (o.secret ?? SECRET) : undefined),
    clock: () => o.clock ?? AT,
  })

const signed = (headers: string, signature: string): string =>
  `AWS4-HMAC-SHA256 Credential=${KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders=${headers},Signature=${signature}`

const GET: Sent = {
  url: '/test.txt',
  headers: {
    authorization: signed(
      'host;range;x-amz-content-sha256;x-amz-date',
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ),
    range: 'bytes=0-9',
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': DATE,
  },
}
const PUT: Sent = {
  method: 'PUT',
  url: '/test%24file.text',
  headers: {
    date: 'Fri, 24 May 2013 00:00:00 GMT',
    authorization: signed(
      'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ),
    'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    'x-amz-date': DATE,
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  },
}
const listing = (url: string, signature: string): Sent => ({
  url,
  headers: {
    authorization: signed('host;x-amz-content-sha256;x-amz-date', signature),
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': DATE,
  },
})
const PRESIGNED =
  '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
  '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
  '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'

const refuses = (code: S3Code) => (error: unknown) => {
  assert.ok(error instanceof S3Error)
  assert.equal(error.code, code)
  return true
}

describe('signatures in the header', () => {
  it('are those that AWS publishes', async () => {
    for (const sent of [
      GET,
      PUT,
      listing('/?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'),
      listing('/?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'),
      listing('/?prefix=J&max-keys=2', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'),
    ])
      assert.equal((await check(sent)).accessKeyId, KEY)
  })

  it('are refused when anything that was signed is another', async () => {
    const mismatch = refuses('SignatureDoesNotMatch')
    await assert.rejects(check({ ...GET, url: '/test.txt2' }), mismatch)
    await assert.rejects(check({ ...GET, url: '/test.txt?acl' }), mismatch)
    await assert.rejects(check({ ...GET, method: 'DELETE' }), mismatch)
    await assert.rejects(check(GET, { secret: 'another' }), mismatch)
    const headers = { ...GET.headers!, range: 'bytes=0-99' }
    await assert.rejects(check({ ...GET, headers }), mismatch)
    const authorization = GET.headers!.authorization!
    for (const other of [
      authorization.slice(0, -1),
      `${authorization.slice(0, -1)}2`,
      authorization.replace('f0e8', 'F0E8'),
    ])
      await assert.rejects(check({ ...GET, headers: { ...GET.headers, authorization: other } }), mismatch)
  })

  it('are refused far from their time, for unknown keys, and when they are malformed', async () => {
    const later = { clock: AT + 15 * 60_000 + 1 }
    assert.ok(await check(GET, { clock: AT + 15 * 60_000 }))
    await assert.rejects(check(GET, later), refuses('RequestTimeTooSkewed'))
    await assert.rejects(check(GET, { clock: AT - 15 * 60_000 - 1 }), refuses('RequestTimeTooSkewed'))
    const withHeaders = (headers: Record<string, string>) => check({ ...GET, headers: { ...GET.headers, ...headers } })
    const authorization = GET.headers!.authorization!
    await assert.rejects(
      withHeaders({ authorization: authorization.replace(KEY, 'OTHER') }),
      refuses('InvalidAccessKeyId'),
    )
    await assert.rejects(withHeaders({ authorization: 'AWS AKID:signature' }), refuses('InvalidRequest'))
    for (const malformed of [
      'Bearer token',
      'AWS4-HMAC-SHA256 ',
      authorization.replace('/s3/', '/ec2/'),
      authorization.replace('20130524', '20130525'),
      authorization.replace('Signature=', 'Sig='),
    ])
      await assert.rejects(withHeaders({ authorization: malformed }), refuses('AuthorizationHeaderMalformed'))
    await assert.rejects(withHeaders({ 'x-amz-date': 'yesterday' }), refuses('AccessDenied'))
    await assert.rejects(withHeaders({ 'x-amz-content-sha256': '' }), refuses('InvalidRequest'))
  })

  it('must cover every x-amz header', async () => {
    const headers = { ...GET.headers, 'x-amz-acl': 'public-read' }
    await assert.rejects(check({ ...GET, headers }), refuses('AccessDenied'))
  })
})

describe('signatures in the query', () => {
  it('are those that AWS publishes, and bind the body to nothing', async () => {
    const { accessKeyId, payload } = await check({ url: PRESIGNED })
    assert.deepEqual({ accessKeyId, payload }, { accessKeyId: KEY, payload: 'UNSIGNED-PAYLOAD' })
  })

  it('end when they say so, a week after they began at most', async () => {
    assert.ok(await check({ url: PRESIGNED }, { clock: AT + 86_400_000 }))
    await assert.rejects(check({ url: PRESIGNED }, { clock: AT + 86_400_001 }), refuses('AccessDenied'))
    await assert.rejects(check({ url: PRESIGNED }, { clock: AT - 16 * 60_000 }), refuses('RequestTimeTooSkewed'))
    const malformed = refuses('AuthorizationQueryParametersError')
    for (const expires of ['604801', '-1', '1e3', ''])
      await assert.rejects(check({ url: PRESIGNED.replace('=86400', `=${expires}`) }), malformed)
    await assert.rejects(check({ url: PRESIGNED.replace('=86400', '=86401') }), refuses('SignatureDoesNotMatch'))
    await assert.rejects(check({ url: `${PRESIGNED}&response-content-type=a` }), refuses('SignatureDoesNotMatch'))
    await assert.rejects(
      check({ url: PRESIGNED.replace('SignedHeaders=host', 'SignedHeaders=range') }),
      refuses('AccessDenied'),
    )
    await assert.rejects(check({ url: PRESIGNED, headers: { authorization: 'x' } }), refuses('InvalidArgument'))
  })
})

it('whoever signs nothing is nobody', async () => {
  assert.equal((await check({ url: '/x' })).accessKeyId, undefined)
})

it('encodes as AWS does', () => {
  assert.equal(uriEncode("a b+c/d~e-_.!'()*é%"), 'a%20b%2Bc%2Fd~e-_.%21%27%28%29%2A%C3%A9%25')
  assert.equal(uriEncode('a/b c//', true), 'a/b%20c//')
})

describe('the chunks of a body', () => {
  const upload = (payload: string, signature: string, headers: string, more: Record<string, string>): Sent => ({
    method: 'PUT',
    url: '/examplebucket/chunkObject.txt',
    headers: {
      host: 's3.amazonaws.com',
      authorization: signed(headers, signature),
      'x-amz-content-sha256': payload,
      'x-amz-date': DATE,
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': '66560',
      ...more,
    },
  })
  const PLAIN = upload(
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
    'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
    { 'content-length': '66824' },
  )
  const TRAILER = upload(
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
    'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
    { 'x-amz-trailer': 'x-amz-checksum-crc32c' },
  )
  const body = (signatures: [string, string, string], end = '\r\n'): Buffer =>
    Buffer.from(
      `10000;chunk-signature=${signatures[0]}\r\n${'a'.repeat(65536)}\r\n` +
        `400;chunk-signature=${signatures[1]}\r\n${'a'.repeat(1024)}\r\n0;chunk-signature=${signatures[2]}\r\n${end}`,
    )
  const plainBody = body([
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ])
  const trailerBody = body(
    [
      'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    ],
    'x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
  )

  async function decode(sent: Sent, bytes: Buffer, pieceBytes: number): Promise<string> {
    const { chunks } = await check(sent)
    const checksums = new Checksums(requestOf(sent).header)
    async function* source(): AsyncGenerator<Buffer> {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
    }
    const trailer = sent === TRAILER ? checksums.trailer.bind(checksums) : undefined
    const parts: Buffer[] = []
    for await (const part of decodeChunks(source(), { bytes: 66_560, signer: chunks, trailer })) {
      parts.push(part)
      checksums.update(part)
    }
    checksums.check()
    return Buffer.concat(parts).toString('latin1')
  }

  it('are signed as AWS publishes, with trailers and without, however they arrive', async () => {
    for (const pieceBytes of [7, 1000, 65_536, 100_000]) {
      assert.equal(await decode(PLAIN, plainBody, pieceBytes), 'a'.repeat(66_560))
      assert.equal(await decode(TRAILER, trailerBody, pieceBytes), 'a'.repeat(66_560))
    }
  })

  it('are refused when a byte, a signature, the order or the length is another', async () => {
    const changed = (bytes: Buffer, change: (text: string) => string) =>
      Buffer.from(change(bytes.toString('latin1')), 'latin1')
    const mismatch = refuses('SignatureDoesNotMatch')
    const incomplete = refuses('IncompleteBody')
    const plain = (change: (text: string) => string) => decode(PLAIN, changed(plainBody, change), 5000)
    const trailed = (change: (text: string) => string) => decode(TRAILER, changed(trailerBody, change), 5000)
    await assert.rejects(
      plain((text) => text.replace('aaa', 'aab')),
      mismatch,
    )
    await assert.rejects(
      plain((text) => text.replace('=ad80', '=ad81')),
      mismatch,
    )
    await assert.rejects(
      plain((text) => text.replace(/;chunk-signature=\w+/, '')),
      mismatch,
    )
    await assert.rejects(
      plain((text) => text.replace('=b6c6', '=b6c7')),
      mismatch,
    )
    await assert.rejects(
      plain((text) => text.slice(0, -80)),
      incomplete,
    )
    await assert.rejects(
      plain((text) => text.slice(0, -2)),
      incomplete,
    )
    await assert.rejects(
      plain((text) => `${text}more`),
      incomplete,
    )
    await assert.rejects(
      plain((text) => text.replace('\r\n\r\n', '\r\nx-amz-meta-a:b\r\n\r\n')),
      incomplete,
    )
    await assert.rejects(
      plain((text) => text.replace('10000;', '20000;')),
      incomplete,
    )
    await assert.rejects(
      plain((text) => text.replace('10000;', '-1;')),
      incomplete,
    )
    await assert.rejects(
      plain((text) => text.replace('10000;', `${' '.repeat(5000)}10000;`)),
      incomplete,
    )
    await assert.rejects(
      trailed((text) => text.replace('sOO8', 'sOO9')),
      mismatch,
    )
    await assert.rejects(
      trailed((text) => text.replace(':d81f', ':d81e')),
      mismatch,
    )
    await assert.rejects(
      trailed((text) => text.replace(/x-amz-trailer-signature.*\r\n/, '')),
      mismatch,
    )
    await assert.rejects(
      trailed((text) => text.replace('crc32c:', 'crc32:')),
      refuses('InvalidRequest'),
    )
    await assert.rejects(
      trailed((text) => text.replace('x-amz-checksum', `${'x-y:z\r\n'.repeat(2000)}x-amz-checksum`)),
      S3Error,
    )
  })
})
