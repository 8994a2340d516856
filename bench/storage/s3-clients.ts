import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Row } from '../run.ts'
import { type Endpoint, memoryEndpoint, passed, storeEndpoint } from './s3-endpoint.ts'

/**
 * Whether the clients that people have work with the S3 endpoint as they come: every aws-cli and rclone on the PATH, told nothing but the
 * address and the keys. A row for each thing that people do; a client that is not here is not judged.
 */
export const summary = 'aws-cli and rclone, unmodified, against the S3 endpoint'

const MIB = 1 << 20

export default async function s3Clients(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      /** Of the file that goes in parts. */
      mib: { type: 'string', default: '40' },
      /** Through an endpoint that keeps nothing, to see its memory. */
      'memory-mib': { type: 'string', default: '1024' },
      /** 'store': `pingo store serve` over seventeen storage nodes; 'memory': the endpoint alone, nothing encrypted or kept. */
      backend: { type: 'string', default: 'store' },
      /** An endpoint that runs already, its keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
      endpoint: { type: 'string' },
    },
  })
  const open = (): Promise<Endpoint> =>
    values.endpoint
      ? runningEndpoint(values.endpoint)
      : values.backend === 'memory'
        ? memoryEndpoint()
        : storeEndpoint()
  const rows: Row[] = []
  for (const [name, run] of [
    ['aws', awsSteps],
    ['rclone', rcloneSteps],
  ] as const) {
    const found = await programs(name)
    if (found.length === 0) rows.push({ name, measured: 'not installed', bar: 'works', holds: null })
    for (const { path, version } of found) {
      const endpoint = await open()
      const folder = await mkdtemp(join(tmpdir(), 'pingo-s3-'))
      try {
        const stage = await Stage.prepare(folder, path, endpoint, Number(values.mib) * MIB)
        for (const [title, step] of Object.entries(run(stage))) rows.push(await judge(`${version}: ${title}`, step))
      } finally {
        await rm(folder, { recursive: true, force: true })
        await endpoint.close()
      }
    }
  }
  if (!values.endpoint) rows.push(await passed(Number(values['memory-mib']) * MIB))
  return rows
}

async function runningEndpoint(url: string): Promise<Endpoint> {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secret = '' } = process.env
  return { url, accessKeyId, secret, close: async () => {} }
}

async function judge(name: string, step: () => Promise<void>): Promise<Row> {
  process.stderr.write(`${name}\n`)
  const from = performance.now()
  try {
    await step()
    return { name, measured: `${((performance.now() - from) / 1000).toFixed(1)} s`, bar: 'works', holds: true }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    process.stderr.write(`  ${text}\n`)
    return { name, measured: text.split('\n')[0]!.slice(0, 120), bar: 'works', holds: false }
  }
}

/** Every program of a name on the PATH, one of each version. */
async function programs(name: string): Promise<{ path: string; version: string }[]> {
  const found = new Map<string, string>()
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = await realpath(join(folder, name)).catch(() => undefined)
    if (path === undefined) continue
    // a shim decides by its name
    const program = join(folder, name)
    const version = await run(program, ['--version'], {}).catch(() => undefined)
    const [, label] = /^(aws-cli\/\S+|rclone v\S+)/.exec(version?.toString() ?? '') ?? []
    if (label && !found.has(label)) found.set(label, program)
  }
  return [...found].map(([version, path]) => ({ version: version.replace('/', ' '), path }))
}

/** Without what this machine tells clients of S3. */
const OUTER_ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS|RCLONE)_/.test(name)))

function run(
  program: string,
  args: string[],
  o: { env?: Record<string, string>; input?: Uint8Array },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { env: { ...OUTER_ENV, ...o.env }, encoding: 'buffer', maxBuffer: 256 * MIB, timeout: 180_000 },
      (error, stdout, stderr) => {
        if (error)
          reject(
            new Error(`${args.slice(0, 3).join(' ')}: ${stderr.toString().trim().slice(0, 2000) || error.message}`),
          )
        else resolve(stdout)
      },
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(o.input)
  })
}

/** A client with files to send. */
class Stage {
  readonly folder: string
  readonly #program: string
  readonly #env: Record<string, string>
  readonly endpoint: Endpoint
  readonly big: Buffer

  private constructor(folder: string, program: string, endpoint: Endpoint, big: Buffer) {
    this.folder = folder
    this.#program = program
    this.endpoint = endpoint
    this.big = big
    this.#env = {
      HOME: folder,
      AWS_ACCESS_KEY_ID: endpoint.accessKeyId,
      AWS_SECRET_ACCESS_KEY: endpoint.secret,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_CONFIG_FILE: join(folder, 'aws.conf'),
      AWS_PAGER: '',
      AWS_EC2_METADATA_DISABLED: 'true',
      RCLONE_CONFIG: join(folder, 'rclone.conf'),
      RCLONE_CONFIG_PINGO_TYPE: 's3',
      RCLONE_CONFIG_PINGO_PROVIDER: 'Other',
      RCLONE_CONFIG_PINGO_ENDPOINT: endpoint.url,
      RCLONE_CONFIG_PINGO_ACCESS_KEY_ID: endpoint.accessKeyId,
      RCLONE_CONFIG_PINGO_SECRET_ACCESS_KEY: endpoint.secret,
    }
  }

  static async prepare(folder: string, program: string, endpoint: Endpoint, bigBytes: number): Promise<Stage> {
    const stage = new Stage(folder, program, endpoint, bytesOf(bigBytes, 1))
    await mkdir(join(folder, 'tree', 'sub dir', 'ü'), { recursive: true })
    for (const settings of ['rclone.conf', 'aws.conf']) await writeFile(join(folder, settings), '')
    await writeFile(join(folder, 'big'), stage.big)
    await writeFile(join(folder, 'small.txt'), 'hello')
    for (let n = 0; n < 30; n++) await writeFile(join(folder, 'tree', `file ${n}`), bytesOf(n * 1000, n))
    await writeFile(join(folder, 'tree', 'sub dir', 'ü', 'a+b&c=d %20 日本.txt'), 'unicode')
    await writeFile(join(folder, 'tree', 'sub dir', 'empty'), '')
    return stage
  }

  readonly path = (name: string): string => join(this.folder, name)

  async client(args: string[], input?: Uint8Array): Promise<string> {
    return (await this.bytes(args, input)).toString()
  }

  bytes(args: string[], input?: Uint8Array): Promise<Buffer> {
    return run(this.#program, args, { env: this.#env, ...(input ? { input } : {}) })
  }
}

type Steps = Record<string, () => Promise<void>>

function awsSteps(stage: Stage): Steps {
  const aws = (...args: string[]) => stage.client(['--endpoint-url', stage.endpoint.url, ...args])
  const s3 = (...args: string[]) => aws('s3', ...args)
  const api = async (...args: string[]) => JSON.parse((await aws('s3api', ...args, '--output', 'json')) || '{}')
  return {
    'make a bucket': async () => {
      await s3('mb', 's3://clients')
      expect((await s3('ls')).includes(' clients'), 'ls does not show the bucket')
    },
    'put, get': async () => {
      await s3('cp', stage.path('small.txt'), 's3://clients/small.txt')
      await s3('cp', 's3://clients/small.txt', stage.path('got'))
      same(await readFile(stage.path('got')), Buffer.from('hello'))
    },
    'multipart, put and get': async () => {
      await s3('cp', stage.path('big'), 's3://clients/big')
      await s3('cp', 's3://clients/big', stage.path('got'))
      same(await readFile(stage.path('got')), stage.big)
      const { ETag } = await api('head-object', '--bucket', 'clients', '--key', 'big')
      expect(/-\d+"$/.test(ETag), `${ETag} is not of parts`)
    },
    'streams, in and out': async () => {
      await stage.client(['--endpoint-url', stage.endpoint.url, 's3', 'cp', '-', 's3://clients/stream'], stage.big)
      same(await stage.bytes(['--endpoint-url', stage.endpoint.url, 's3', 'cp', 's3://clients/stream', '-']), stage.big)
    },
    range: async () => {
      const args = ['--bucket', 'clients', '--key', 'big', '--range', 'bytes=1048570-1048585', stage.path('got')]
      const { ContentRange } = await api('get-object', ...args)
      same(await readFile(stage.path('got')), stage.big.subarray(1_048_570, 1_048_586))
      expect(ContentRange.startsWith('bytes 1048570-1048585/'), ContentRange)
    },
    'sync a folder, twice, and back': async () => {
      await s3('sync', stage.path('tree'), 's3://clients/tree')
      const again = await s3('sync', stage.path('tree'), 's3://clients/tree')
      expect(again.trim() === '', `the second sync sends again: ${again}`)
      await s3('sync', 's3://clients/tree', stage.path('back'))
      await sameTree(stage.path('tree'), stage.path('back'))
    },
    list: async () => {
      const top = await s3('ls', 's3://clients/tree/')
      expect(top.includes('PRE sub dir/') && !top.includes('empty'), top)
      const all = await s3('ls', '--recursive', 's3://clients/tree')
      expect(all.includes('a+b&c=d %20 日本.txt') && all.trim().split('\n').length === 32, all)
      const pages = await api('list-objects-v2', '--bucket', 'clients', '--page-size', '7', '--prefix', 'tree/')
      expect(pages.Contents.length === 32, 'pages lose objects')
      const old = await api('list-objects', '--bucket', 'clients', '--page-size', '7', '--prefix', 'tree/')
      expect(old.Contents.length === 32, 'pages of version 1 lose objects')
    },
    'checksums, metadata, conditions': async () => {
      const object = ['--bucket', 'clients', '--key', 'described']
      await api(
        'put-object',
        ...object,
        '--body',
        stage.path('small.txt'),
        '--metadata',
        'a=b',
        '--content-type',
        'x/y',
        '--checksum-algorithm',
        'SHA256',
      )
      const { Metadata, ContentType, ETag } = await api('head-object', ...object)
      expect(Metadata.a === 'b' && ContentType === 'x/y', 'the description is lost')
      expect(ETag === `"${createHash('md5').update('hello').digest('hex')}"`, ETag)
      await api('get-object', ...object, '--if-none-match', ETag, stage.path('got')).then(
        () => expect(false, 'If-None-Match is not heard'),
        (error: Error) => expect(/304|Not Modified/.test(error.message), error.message),
      )
    },
    'copy and move on the server': async () => {
      await s3('cp', 's3://clients/big', 's3://clients/copy', '--metadata-directive', 'REPLACE')
      await s3('mv', 's3://clients/small.txt', 's3://clients/moved ü.txt')
      const all = await s3('ls', 's3://clients/')
      expect(all.includes('moved ü.txt') && !all.includes(' small.txt') && all.includes(' copy'), all)
      await s3('cp', 's3://clients/copy', stage.path('got'))
      same(await readFile(stage.path('got')), stage.big)
    },
    // version 1 signs URLs the way that AWS gave up, unless it is told to do as version 2 does
    'presigned URL (signature_version s3v4)': async () => {
      await writeFile(stage.path('aws.conf'), '[default]\ns3 =\n  signature_version = s3v4\n')
      const url = (await s3('presign', 's3://clients/moved ü.txt')).trim()
      same(Buffer.from(await (await fetch(url)).arrayBuffer()), Buffer.from('hello'))
    },
    'delete, and the bucket': async () => {
      await s3('rm', 's3://clients/big')
      await s3('rm', '--recursive', 's3://clients/tree')
      const left = await s3('ls', '--recursive', 's3://clients')
      expect(!left.includes('tree/') && !left.includes(' big') && left.includes(' copy'), left)
      await s3('rb', '--force', 's3://clients')
      expect(!(await s3('ls')).includes('clients'), 'the bucket is still there')
    },
  }
}

function rcloneSteps(stage: Stage): Steps {
  const rclone = (...args: string[]) => stage.client(args)
  const remote = (path: string) => `pingo:rclone-bucket/${path}`
  return {
    'make a bucket': async () => {
      await rclone('mkdir', remote(''))
      expect((await rclone('lsd', 'pingo:')).includes('rclone-bucket'), 'lsd does not show the bucket')
    },
    'put, get': async () => {
      await rclone('copyto', stage.path('small.txt'), remote('small.txt'))
      same(await stage.bytes(['cat', remote('small.txt')]), Buffer.from('hello'))
    },
    'multipart, put and get': async () => {
      const inParts = ['--s3-chunk-size', '5M', '--s3-upload-cutoff', '5M']
      await rclone('copyto', ...inParts, stage.path('big'), remote('big'))
      await rclone('copyto', remote('big'), stage.path('got'))
      same(await readFile(stage.path('got')), stage.big)
    },
    'streams, in and out': async () => {
      await stage.client(['rcat', remote('stream')], stage.big)
      same(await stage.bytes(['cat', remote('stream')]), stage.big)
    },
    range: async () => {
      const got = await stage.bytes(['cat', '--offset', '1048570', '--count', '16', remote('big')])
      same(got, stage.big.subarray(1_048_570, 1_048_586))
    },
    'sync a folder, twice, and back': async () => {
      await rclone('sync', stage.path('tree'), remote('tree'))
      const dry = await rclone('sync', '--combined', '-', stage.path('tree'), remote('tree')).catch(() => '')
      expect(!/^[+*-]/m.test(dry), dry)
      await rclone('sync', remote('tree'), stage.path('back'))
      await sameTree(stage.path('tree'), stage.path('back'))
    },
    'check, by hashes and by bytes': async () => {
      await rclone('check', stage.path('tree'), remote('tree'))
      await rclone('check', '--download', stage.path('tree'), remote('tree'))
      await rclone('check', '--one-way', stage.path('small.txt'), remote(''))
    },
    list: async () => {
      const top = (await rclone('lsf', remote('tree'))).trim().split('\n')
      expect(top.length === 31 && top.includes('sub dir/'), top.join())
      const all = (await rclone('lsf', '-R', '--files-only', remote('tree'))).trim().split('\n')
      expect(all.length === 32 && all.includes('sub dir/ü/a+b&c=d %20 日本.txt'), all.join())
    },
    'copy and move on the server, and set a time': async () => {
      await rclone('copyto', remote('big'), remote('copy ü'))
      await rclone('moveto', remote('small.txt'), remote('moved'))
      await rclone('touch', '--no-create', '-t', '2020-01-02T03:04:05', remote('moved'))
      expect((await rclone('lsl', remote('moved'))).includes('2020-01-02 03:04:05'), 'the time is not set')
      same(await stage.bytes(['cat', remote('copy ü')]), stage.big)
    },
    'delete, and the bucket': async () => {
      await rclone('deletefile', remote('big'))
      await rclone('purge', remote('tree'))
      const left = await rclone('lsf', '-R', remote(''))
      expect(!left.includes('tree') && !left.includes('big') && left.includes('copy ü'), left)
      await rclone('purge', remote(''))
      expect(!(await rclone('lsd', 'pingo:')).includes('rclone-bucket'), 'the bucket is still there')
    },
  }
}

function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let at = 0; at + 4 <= length; at += 4)
    bytes.writeUInt32LE((state = (Math.imul(state, 1664525) + 1013904223) >>> 0), at)
  return bytes
}

function expect(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Error(otherwise)
}

const same = (got: Uint8Array, sent: Uint8Array): void =>
  expect(Buffer.compare(got, sent) === 0, `${got.byteLength} other bytes came back for ${sent.byteLength}`)

async function sameTree(sent: string, got: string): Promise<void> {
  const files = async (folder: string) =>
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length))
      .sort()
  const [a, b] = [await files(sent), await files(got)]
  expect(a.join() === b.join(), `other files came back: ${b.join()}`)
  for (const file of a) same(await readFile(got + file), await readFile(sent + file))
}
