/**
 * A client of IPFS, as it comes from npm, reads public data from real fog nodes: `pingo fog` three times, a folder put by `pingo store put
 * --public`, then Helia over HTTP (which checks every block) at the node that did not take the put.
 * The client is installed into a folder of its own; without npm's registry its rows hold null.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Row } from '../run.ts'

export const summary = 'a client of IPFS and one of S3 read a public folder from fog nodes'

const run = promisify(execFile)
const COMMAND = join(import.meta.dirname, '..', '..', 'apps', 'cli', 'bin', 'pingo.js')
const CLIENT = 'helia@7.1.15'
const PACKAGES = [
  CLIENT,
  '@helia/http@4.0.7',
  '@helia/unixfs@8.0.5',
  '@multiformats/multiaddr@13.0.3',
  '@libp2p/peer-id@6.0.15',
  'multiformats@14.0.5',
]
const INSTALL_MS = 180_000
const READ_MS = 120_000
const FOGS = 3
const BIG_BYTES = 40 << 20

/** Runs in the client's folder: prints the digest of what came of each URL. A router names the gateway: Helia asks nobody else then. */
const READER = `import { createHash } from 'node:crypto'
import { createHeliaLight } from 'helia'
import { withHTTP } from '@helia/http'
import { unixfs } from '@helia/unixfs'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
const [gateway, ...urls] = process.argv.slice(2)
const { hostname, port } = new URL(gateway)
const provider = {
  id: peerIdFromString('12D3KooWJeSBP1DKcqNUHcsmfKqAvKZ3yL3t7m35sMLD7hKZmWyK'),
  multiaddrs: [multiaddr('/ip4/' + hostname + '/tcp/' + port + '/http')],
  protocols: ['transport-ipfs-gateway-http'],
}
const routers = [{ name: 'fog', async *findProviders() { yield provider } }]
const http = { delegatedRouters: [], recursiveGateways: [], allowInsecure: true, allowLocal: true }
const files = unixfs(await withHTTP(createHeliaLight({ routers }), http).start())
for (const url of urls) {
  const [root, ...names] = url.slice('ipfs://'.length).split('/').map(decodeURIComponent)
  const hash = createHash('sha256')
  for await (const part of files.cat(CID.parse(root), { path: names.join('/') })) hash.update(part)
  console.log(hash.digest('hex'))
}
process.exit(0)
`

export default async function storageIpfs(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-ipfs-'))
  const fogs: { url: string; token: string; child: ChildProcess }[] = []
  try {
    for (let n = 0; n < FOGS; n++) fogs.push(await startFog(join(folder, `fog-${n}`), fogs[0]?.url))
    const [first, last] = [fogs[0]!, fogs.at(-1)!]
    const files: Record<string, Uint8Array> = {
      'read me.txt': Buffer.from('Hello, IPFS'),
      'deep/big.bin': randomBytes(BIG_BYTES),
    }
    for (const [path, bytes] of Object.entries(files)) {
      await mkdir(join(folder, 'data', path, '..'), { recursive: true })
      await writeFile(join(folder, 'data', path), bytes)
    }
    const root = await put(join(folder, 'data'), first, join(folder, 'home'))
    return [
      ...(await readByHelia(join(folder, 'client'), last.url, root, files)),
      ...(await readByS3(last.url, root, files)),
    ]
  } finally {
    for (const { child } of fogs) child.kill('SIGTERM')
    await Promise.all(fogs.map(({ child }) => child.exitCode ?? once(child, 'exit')))
    await rm(folder, { recursive: true, force: true })
  }
}

async function startFog(home: string, peer: string | undefined) {
  const args = ['fog', '--port', '0', '--home', home, '--json', ...(peer ? ['--peer', peer] : [])]
  const child = spawn(process.execPath, [COMMAND, ...args], {
    env: { ...process.env, PINGO_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
  return { ...(JSON.parse(line) as { url: string; token: string }), child }
}

/** @returns the folder's CID, when all fog nodes keep it */
async function put(data: string, fog: { url: string; token: string }, home: string): Promise<string> {
  const env = { ...process.env, PINGO_FOG: fog.url, PINGO_TOKEN: fog.token, PINGO_HOME: home }
  for (let tries = 0; ; tries++) {
    const args = [COMMAND, 'store', 'put', data, '--public', '--force', '--json']
    const { stdout } = await run(process.execPath, args, { env })
    const { root, stored } = JSON.parse(stdout) as { root: string; stored: { nodes: number }[] }
    if (stored.every(({ nodes }) => nodes === FOGS)) return root
    if (tries > 20) throw new Error('The fog nodes do not find each other.')
    await sleep(500)
  }
}

async function readByHelia(
  folder: string,
  gateway: string,
  root: string,
  files: Record<string, Uint8Array>,
): Promise<Row[]> {
  const name = (path: string) => `${CLIENT} reads ipfs://ROOT/${path} from a fog node's trustless gateway`
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{"type":"module","private":true}')
  await writeFile(join(folder, 'read.mjs'), READER)
  try {
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES], {
      cwd: folder,
      timeout: INSTALL_MS,
    })
  } catch {
    return Object.keys(files).map((path) => ({
      name: name(path),
      measured: 'not installed',
      bar: 'same bytes',
      holds: null,
    }))
  }
  const urls = Object.keys(files).map((path) => `ipfs://${root}/${path.split('/').map(encodeURIComponent).join('/')}`)
  const { stdout, stderr } = await run(process.execPath, ['read.mjs', gateway, ...urls], {
    cwd: folder,
    timeout: READ_MS,
  }).catch((error: { stdout?: string; stderr?: string }) => ({
    stdout: error.stdout ?? '',
    stderr: error.stderr ?? String(error),
  }))
  const lines = stdout.trim().split('\n')
  if (stderr) console.error(stderr)
  return Object.entries(files).map(([path, bytes], n) => {
    const isSame = lines[n] === sha256(bytes)
    return {
      name: name(path),
      measured: isSame ? 'same bytes' : `'${lines[n] ?? ''}'`,
      bar: 'same bytes',
      holds: isSame,
    }
  })
}

/** What `aws s3 --no-sign-request` asks. */
async function readByS3(url: string, root: string, files: Record<string, Uint8Array>): Promise<Row[]> {
  const listed = await (await fetch(`${url}/${root}?list-type=2&delimiter=%2F`)).text()
  const isListed = /<Key>read me\.txt<\/Key>/.test(listed) && /<Prefix>deep\/<\/Prefix>/.test(listed)
  const got = await fetch(`${url}/${root}/deep/big.bin`)
  const isSame = sha256(new Uint8Array(await got.arrayBuffer())) === sha256(files['deep/big.bin']!)
  return [
    {
      name: 'a fog node lists the folder as an S3 bucket',
      measured: isListed ? 'yes' : 'no',
      bar: 'yes',
      holds: isListed,
    },
    { name: '… and gives a file of it', measured: isSame ? 'same bytes' : 'others', bar: 'same bytes', holds: isSame },
  ]
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
