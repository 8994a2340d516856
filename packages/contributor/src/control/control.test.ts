import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isPinGoError, type MachineView, MachineViewSchema } from '@pingo/wire'
import { type ControlClient, findContributor } from './client.ts'
import { CONTROL_FILE, readControlFile } from './control-file.ts'
import type { ControlPort } from './port.ts'
import { type ControlServer, serveControl } from './server.ts'

const NOW = 1_800_000_000_000

const view = (): MachineView =>
  MachineViewSchema.parse({
    peerId: '12D3KooWExample',
    name: 'study',
    version: '0.1.0',
    pid: process.pid,
    startedAt: NOW,
    fog: { connected: true },
    state: 'idle',
    offer: { cores: 1, memoryBytes: 1e9, diskBytes: 1e9 },
    allowedCores: 1,
    slices: [],
    used: { cores: 0, rssBytes: 1e8, diskBytes: 0, diskQuotaBytes: 1e9, sentBytes: 0, receivedBytes: 0 },
    owner: {},
    credit: { leases: 0, samplesAccepted: 0, samplesIncluded: 0, cpuSeconds: 0 },
  })

interface Scene {
  home: string
  server: ControlServer
  calls: unknown[][]
  client: ControlClient
}

async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'pingo-control-'))
  try {
    await work(home)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

const withServer = (work: (scene: Scene) => Promise<void>, o: { pages?: string } = {}) =>
  withHome(async (home) => {
    const calls: unknown[][] = []
    const settings = { said: {}, settings: {}, machine: { cores: 8, memoryBytes: 1, freeDiskBytes: 1 }, file: 'f' }
    const port: ControlPort = {
      view,
      settings: () => settings,
      change: async (said) => {
        calls.push(['change', said])
        return settings
      },
      pause: (until) => void calls.push(['pause', until]),
      resume: () => void calls.push(['resume']),
      leave: () => void calls.push(['leave']),
      history: (query) => {
        calls.push(['history', query])
        return []
      },
      earnings: () => ({ days: [], jobs: [], total: { leases: 0, samplesIncluded: 0, cpuSeconds: 0 } }),
    }
    const server = await serveControl({ home, pages: o.pages, clock: () => NOW })
    try {
      server.attach(port)
      await work({ home, server, calls, client: (await findContributor(home))! })
    } finally {
      await server.close()
    }
  })

/** A raw request: fetch would not let a Host header through. */
async function raw(
  server: ControlServer,
  path: string,
  o: { host?: string; token?: string; method?: string; body?: string | Buffer } = {},
): Promise<{ status: number; text: string; headers: Record<string, unknown> }> {
  const { port } = new URL(server.url)
  const asked = request({
    host: '127.0.0.1',
    port,
    path,
    method: o.method ?? 'GET',
    headers: { host: o.host ?? `127.0.0.1:${port}`, ...(o.token && { authorization: `Bearer ${o.token}` }) },
  })
  asked.on('error', () => undefined)
  asked.end(o.body)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const part of response) text += part
  return { status: response.statusCode, text, headers: response.headers }
}

test('an owner sees, changes, pauses, resumes and ends the contributor that runs', () =>
  withServer(async ({ client, calls, home, server }) => {
    assert.deepEqual(await client.view(), view())
    await client.change({ cpu: '40%', name: null })
    await client.pause(30)
    await client.pause()
    await client.resume()
    await client.history({ limit: 3, before: 'lease-5' })
    assert.deepEqual((await client.earnings()).days, [])
    await client.leave()
    assert.deepEqual(calls, [
      ['change', { cpu: '40%', name: null }],
      ['pause', NOW + 30 * 60_000],
      ['pause', undefined],
      ['resume'],
      ['history', { limit: 3, before: 'lease-5' }],
      ['leave'],
    ])
    assert.match(client.page, /^http:\/\/127\.0\.0\.1:\d+\/#\/machine\?token=[\w-]{43}$/)
    assert.equal((await stat(join(home, CONTROL_FILE))).mode & 0o777, 0o600)
    await server.close()
    assert.deepEqual(await readdir(home), ['contributor.lock'], 'the home is given back')
    assert.equal(await findContributor(home), undefined)
  }))

test('the view is streamed', () =>
  withServer(async ({ server }) => {
    const stop = new AbortController()
    const response = await fetch(`${server.url}/v1/machine/events`, {
      headers: { authorization: `Bearer ${server.token}` },
      signal: stop.signal,
    })
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    let text = ''
    const decoder = new TextDecoder()
    for await (const part of response.body!) {
      text += decoder.decode(part, { stream: true })
      if (text.split('\n\n').length > 2) break
    }
    stop.abort()
    const [first] = text.split('\n\n')
    assert.deepEqual(JSON.parse(first!.replace('event: machine\ndata: ', '')), view())
  }))

test('without the token, by another name, or with what is no request nothing is told and nothing done', () =>
  withServer(async ({ server, calls }) => {
    const { token } = server
    const refused = async (status: number, ...args: [string, object?]) => {
      const { status: got, text } = await raw(server, ...args)
      assert.equal(got, status, `${JSON.stringify(args).slice(0, 100)}: ${text}`)
      assert.match(text, /"error":\{"code":"[A-Z_]+"/)
      assert.ok(!text.includes(token))
    }
    await refused(401, '/v1/machine')
    await refused(401, '/v1/machine', { token: `${token}x` })
    await refused(401, '/v1/machine/ping')
    await refused(403, '/v1/machine', { token, host: 'evil.example' })
    await refused(403, '/v1/machine', { token, host: '127.0.0.1:1' })
    await refused(403, '/', { host: 'evil.example' })
    await refused(404, '/v1/machine/constructor', { token })
    await refused(404, '/v1/machine/pause', { token })
    const post = (body: string | Buffer) => ({ token, method: 'POST', body })
    await refused(400, '/v1/machine/pause', post('{"minutes": -1}'))
    await refused(400, '/v1/machine/pause', post('{"minutes": 1e9}'))
    await refused(400, '/v1/machine/pause', post('{"hours": 1}'))
    await refused(400, '/v1/machine/pause', post('minutes=1'))
    await refused(413, '/v1/machine/pause', post(Buffer.alloc(100_000, '0')))
    await refused(400, '/v1/machine/settings', { token, method: 'PATCH', body: '{"cpu": {"a": 1}}' })
    await refused(400, '/v1/machine/history?limit=0', { token })
    await refused(400, '/v1/machine/history?limit=1e9', { token })
    assert.deepEqual(calls, [])
    const { headers } = await raw(server, '/v1/machine', { token })
    assert.equal(headers['access-control-allow-origin'], undefined)
  }))

test('too many requests at once are refused, and not for long', () =>
  withHome(async (home) => {
    let now = 0
    const server = await serveControl({ home, monotonic: () => now })
    try {
      const ask = async () => (await raw(server, '/v1/machine/ping', { token: server.token })).status
      for (let n = 0; n < 100; n++) assert.equal(await ask(), 200)
      assert.equal(await ask(), 429)
      now += 10
      assert.deepEqual([await ask(), await ask()], [200, 429])
    } finally {
      await server.close()
    }
  }))

test('the page of the owner is served, without a way to other files', () =>
  withHome(async (folder) => {
    await mkdir(join(folder, 'assets'))
    await writeFile(join(folder, 'machine.html'), '<p>machine</p>')
    await writeFile(join(folder, 'index.html'), '<p>fog</p>')
    await writeFile(join(folder, 'assets', 'a.js'), '1')
    await withServer(
      async ({ server }) => {
        const index = await raw(server, '/')
        assert.equal(index.status, 200)
        assert.equal(index.text, '<p>machine</p>')
        assert.match(String(index.headers['content-security-policy']), /default-src 'self'/)
        assert.equal((await raw(server, '/assets/a.js')).headers['content-type'], 'text/javascript; charset=utf-8')
        for (const path of [
          '/index.html',
          '/../../index.htm',
          '/assets/..%2f..%2fetc/passwd',
          '/control.json',
          '//etc/passwd',
        ])
          assert.equal((await raw(server, path)).status, 404, path)
        assert.equal((await raw(server, '/', { method: 'POST' })).status, 404)
      },
      { pages: folder },
    )
  }))

test('a home has one contributor: a second one is told, one that was killed is followed', () =>
  withHome(async (home) => {
    const first = await serveControl({ home })
    await assert.rejects(serveControl({ home }), (error) => isPinGoError(error, 'CONTRIBUTOR_RUNNING'))
    const starting = (await findContributor(home))!
    await assert.rejects(starting.view(), (error) => isPinGoError(error, 'CONTRIBUTOR_STARTING'))
    const file = (await readControlFile(home))!
    await first.close()

    // as kill -9 leaves it: a file, a process id that another may have by now, a port at which nobody or another listens
    await writeFile(join(home, CONTROL_FILE), JSON.stringify({ ...file, pid: process.pid }))
    const second = await serveControl({ home })
    const third = await mkdtemp(join(tmpdir(), 'pingo-control-'))
    try {
      await writeFile(join(third, CONTROL_FILE), JSON.stringify({ ...file, url: second.url }))
      await (await serveControl({ home: third })).close()
      await writeFile(join(third, CONTROL_FILE), 'not JSON')
      await (await serveControl({ home: third })).close()
    } finally {
      await rm(third, { recursive: true })
      await second.close()
    }
  }))

test('a contributor that is stopped and cannot answer still has its home', { skip: process.platform === 'win32' }, () =>
  withHome(async (home) => {
    const url = new URL('./server.ts', import.meta.url).href
    const source = `import { serveControl } from ${JSON.stringify(url)}; await serveControl({ home: ${JSON.stringify(home)} }); console.log('up')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(child.stdout, 'data')
      child.kill('SIGSTOP')
      await assert.rejects(serveControl({ home }), (error) => isPinGoError(error, 'CONTRIBUTOR_RUNNING'))
      child.kill('SIGKILL')
      await once(child, 'close')
      await (await serveControl({ home })).close()
    } finally {
      child.kill('SIGKILL')
    }
  }),
)

test('of contributors that start at once in one home, over what one left that was killed, one is first', () =>
  withHome(async (home) => {
    const left = { url: 'http://127.0.0.1:1', token: 'x'.repeat(43), pid: 1 }
    for (let round = 0; round < 20; round++) {
      await writeFile(join(home, CONTROL_FILE), JSON.stringify(left))
      const started = await Promise.allSettled(Array.from({ length: 4 }, () => serveControl({ home })))
      const winners = started.filter((each) => each.status === 'fulfilled').map(({ value }) => value)
      assert.equal(winners.length, 1)
      const { url, token } = winners[0]!
      assert.deepEqual(JSON.parse(await readFile(join(home, CONTROL_FILE), 'utf8')), { url, token, pid: process.pid })
      await winners[0]!.close()
      assert.deepEqual(await readdir(home), ['contributor.lock'])
    }
  }))
