import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs, promisify } from 'node:util'
import { BlockStore, FileStore } from '@pingo/storage'
import type { Row } from '../run.ts'

/**
 * What the gateway serves of cached objects, next to nginx (sendfile, one worker) and to bare `node:http` with the object in memory:
 * wrk with 16 connections that stay, the server on one core and wrk on the other, the three in turn, medians of the rounds' ratios.
 */
export const summary = 'cached objects over HTTP against nginx and bare node:http (--rounds 5, --seconds 4)'

const CONNECTIONS = 16
const SIZES = { '4 KiB': 4 << 10, '1 MiB': 1 << 20 }
const OF_NGINX = { '4 KiB': 0.45, '1 MiB': 0.42 }
const OF_BARE = 0.9
const MOONSHOT = 0.7

interface Server {
  name: string
  process: ChildProcess
  port: number
}

interface Run {
  requestsPerSecond: number
  /** Of the server, user and system, µs. */
  cpuPerRequest: number
}

export default async function gateway(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' } },
  })
  const lacking = ['nginx', 'wrk', 'taskset'].filter((tool) => spawnSync('which', [tool]).status !== 0)
  if (lacking.length > 0)
    return [{ name: 'cached objects', measured: `no ${lacking.join(', ')} here`, bar: 'printed', holds: null }]
  const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-gateway-'))
  const servers: Server[] = []
  try {
    const paths = await prepare(folder)
    servers.push(await nginx(folder))
    servers.push(await node('bare', join(folder, 'files')))
    servers.push(await node('gateway', join(folder, 'blocks')))
    const rows: Row[] = []
    for (const [size, path] of Object.entries(paths) as [keyof typeof SIZES, Record<string, string>][])
      rows.push(...(await compare(size, path, servers, Number(values.rounds), Number(values.seconds))))
    return rows
  } finally {
    for (const { process } of servers) {
      process.kill()
      if (process.exitCode === null) await once(process, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  }
}

/** Files and blocks of the same bytes. @returns by size and server the path of the object */
async function prepare(folder: string): Promise<Record<string, Record<string, string>>> {
  await mkdir(join(folder, 'files'))
  const blocks = await BlockStore.open(join(folder, 'blocks'))
  const paths: Record<string, Record<string, string>> = {}
  for (const [size, length] of Object.entries(SIZES)) {
    const bytes = randomBytes(length)
    const { cid } = await new FileStore(blocks).put(bytes)
    await writeFile(join(folder, 'files', String(length)), bytes)
    paths[size] = {
      nginx: `/${length}`,
      bare: `/${length}`,
      gateway: `/ipfs/${cid}`,
      'gateway, raw': `/ipfs/${cid}?format=raw`,
    }
  }
  await blocks.close()
  return paths
}

async function compare(
  size: keyof typeof SIZES,
  paths: Record<string, string>,
  servers: Server[],
  rounds: number,
  seconds: number,
): Promise<Row[]> {
  const runs = new Map<string, Run[]>(Object.keys(paths).map((name) => [name, []]))
  const serverOf = (name: string) => servers.find((server) => name.startsWith(server.name))!
  for (const [name, path] of Object.entries(paths)) await load(serverOf(name), path, 1) // warm up
  for (let round = 0; round < rounds; round++)
    for (const [name, path] of Object.entries(paths)) runs.get(name)!.push(await load(serverOf(name), path, seconds))
  // other work on the machine may take from either core: the smaller of the ratios by the clock and by the server's own CPU counts
  const ratio = (a: string, b: string) => {
    const pairs = runs.get(a)!.map((run, n) => [run, runs.get(b)![n]!] as const)
    return Math.min(
      median(pairs.map(([mine, theirs]) => mine.requestsPerSecond / theirs.requestsPerSecond)),
      median(pairs.map(([mine, theirs]) => theirs.cpuPerRequest / mine.cpuPerRequest)),
    )
  }
  const told = [...runs]
    .map(
      ([name, all]) =>
        `${name} ${median(all.map((run) => run.requestsPerSecond)).toFixed(0)}/s at ${median(all.map((run) => run.cpuPerRequest)).toFixed(0)} µs`,
    )
    .join(', ')
  process.stderr.write(`${size}: ${told}\n`)
  const rows: Row[] = []
  for (const name of ['gateway', 'gateway, raw']) {
    const ofNginx = ratio(name, 'nginx')
    const ofBare = ratio(name, 'bare')
    rows.push(
      {
        name: `${size}, ${name} ÷ nginx (${told})`,
        measured: ofNginx,
        bar: `≥ ${OF_NGINX[size]}`,
        holds: ofNginx >= OF_NGINX[size],
      },
      { name: `${size}, ${name} ÷ bare node:http`, measured: ofBare, bar: `≥ ${OF_BARE}`, holds: ofBare >= OF_BARE },
    )
  }
  const best = ratio('gateway', 'nginx')
  rows.push({
    name: `${size}, moonshot ${MOONSHOT} × nginx`,
    measured: best >= MOONSHOT ? 'reached' : 'not reached',
    bar: 'printed',
    holds: true,
  })
  return rows
}

/** What wrk gets of a server. */
async function load({ process, port }: Server, path: string, seconds: number): Promise<Run> {
  const before = await cpuSeconds(process.pid!)
  const { stdout } = await promisify(execFile)('taskset', [
    '-c',
    '1',
    'wrk',
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${seconds}s`,
    `http://127.0.0.1:${port}${path}`,
  ])
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1])
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
  if (!(requests > 0) || /Non-2xx/.test(stdout)) throw new Error(`wrk failed at ${path}: ${stdout}`)
  return { requestsPerSecond, cpuPerRequest: (((await cpuSeconds(process.pid!)) - before) / requests) * 1e6 }
}

/** Of a process and, for nginx, its worker. */
async function cpuSeconds(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean)
  const times = await Promise.all([String(pid), ...children].map((id) => readFile(`/proc/${id}/stat`, 'utf8')))
  return times.reduce((sum, stat) => {
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) / 100
  }, 0)
}

async function node(name: string, folder: string): Promise<Server> {
  const file = join(import.meta.dirname, 'gateway-server.ts')
  const child = spawn('taskset', ['-c', '0', process.execPath, ...process.execArgv, file, name, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { name, process: child, port: Number(line) }
}

async function nginx(folder: string): Promise<Server> {
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  await writeFile(
    config,
    `worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log stderr crit;
     ${process.getuid?.() === 0 ? 'user root;' : ''}
     events { worker_connections 512; }
     http {
       access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=100;
       client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
       uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
       server { listen 127.0.0.1:${port}; root ${folder}/files; default_type application/octet-stream; }
     }`,
  )
  const child = spawn('taskset', ['-c', '0', 'nginx', '-p', folder, '-c', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  for (let tries = 0; tries < 100; tries++) {
    const isUp = await fetch(`http://127.0.0.1:${port}/${SIZES['4 KiB']}`).then(
      (response) => response.ok,
      () => false,
    )
    if (isUp) return { name: 'nginx', process: child, port }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  child.kill()
  throw new Error('nginx did not start')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
