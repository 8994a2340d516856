import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isPinGoError } from '@pingo/wire'
import { Engine } from '../index.ts'
import { outerGraph, slowFeeds, slowGraph } from '../testing/graphs.ts'
import { unary } from '../testing/onnx.ts'
import { linearProgram } from '../testing/programs.ts'
import { float32 } from '../testing/tensors.ts'
import { candidates, feed, firstThatWorks, type Sandbox, sandbox } from './sandbox.ts'
import { findTools } from './tools.ts'

const linux = process.platform === 'linux'
const tools = findTools()
const code = (wanted: string) => (error: unknown) => isPinGoError(error, wanted)

/** What works on this machine, by what it says. */
const tiers = new Map<string, Sandbox>()
if (linux)
  for (const candidate of candidates(tools))
    if (!tiers.has(candidate.sentence) && (await firstThatWorks([candidate])) === candidate)
      tiers.set(candidate.sentence, candidate)

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await pause(10)
  }
}

interface Seen {
  connect: string
  dns: string
  interfaces: string[] | string
  file: string
  passwd: boolean | string
  root: string[]
  here: string[]
  write: (string | undefined)[]
  environment: string[]
  signal: boolean | string
  program: string
  thread: number
  wasm: boolean
  cores: number
}

/** Runs the probe in a child's place. */
async function probe({ wrapper, filter }: Sandbox, task: object, cwd: string): Promise<Seen> {
  const script = fileURLToPath(new URL('../testing/sandbox-probe.ts', import.meta.url))
  const child = spawn(wrapper!.file, [...wrapper!.args, process.execPath, script, JSON.stringify(task)], {
    env: {},
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'ignore', 'ignore', filter ? 'pipe' : 'ignore'],
  })
  if (filter) feed(child.stdio, filter)
  const [said, complaint] = await Promise.all(
    [child.stdout!, child.stderr!].map(async (stream) => (await stream.toArray()).join('')),
  )
  assert.ok(said, complaint)
  return JSON.parse(said!) as Seen
}

describe('what a program in the child’s place can do', { skip: !linux }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pingo-sandbox-'))
  const cwd = mkdtempSync(join(tmpdir(), 'pingo-sandbox-cwd-'))
  const file = join(folder, 'diary.txt')
  writeFileSync(file, 'secret')
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  })
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(() => {
    server.close()
    for (const path of [folder, cwd]) rmSync(path, { recursive: true, force: true })
  })

  for (const candidate of tiers.values())
    it(`in the tier '${candidate.tier}' (${candidate.sentence})`, async () => {
      connections = 0
      const { port } = server.address() as { port: number }
      const seen = await probe(candidate, { port, file, folder, parent: process.pid }, cwd)
      assert.deepEqual([seen.thread, seen.wasm, seen.environment], [1, true, []], 'what it needs it can do')
      assert.ok(seen.cores >= 1)
      if (candidate.tier === 'process') {
        assert.deepEqual([seen.connect, connections], ['connected', 1], 'the probe finds what is open to it')
        assert.equal(seen.file, 'secret')
        return
      }
      assert.notEqual(seen.connect, 'connected')
      assert.equal(connections, 0)
      assert.notEqual(seen.dns, 'resolved')
      assert.ok(typeof seen.interfaces === 'string' || seen.interfaces.length === 0)
      assert.equal(seen.signal, 'ESRCH')
      assert.ok(seen.write.every((error) => typeof error === 'string'))
      if (!candidate.sentence.startsWith('Bubblewrap')) return
      assert.deepEqual([seen.file, seen.passwd, seen.here], ['ENOENT', 'ENOENT', []])
      const shown = [
        'etc',
        'gnu',
        'home',
        'lib',
        'lib64',
        'nix',
        'opt',
        'proc',
        'root',
        'sys',
        'tmp',
        'usr',
        'pingo-empty',
      ]
      assert.ok(
        candidate.tier !== 'sandbox' ||
          seen.root.every((name) => shown.includes(name) || process.execPath.includes(name)),
        seen.root.join(),
      )
      if (candidate.tier === 'sandbox') assert.equal(seen.program, 'EPERM')
    })
})

// Of each tier the last, which has least in common with the one before.
for (const candidate of new Map([...tiers.values()].map((each) => [each.tier, each])).values())
  describe(`an engine in the tier '${candidate.tier}' (${candidate.sentence})`, () => {
    const start = (options: Parameters<typeof Engine.start>[0] = {}) => Engine.start(options, candidate)

    it('runs, trains to the same bits as a bare one, and is governed through its wrappers', async () => {
      await using bare = await Engine.start()
      await using engine = await start({ niceness: 19 })
      assert.deepEqual(engine.isolation, { tier: candidate.tier, sentence: candidate.sentence })
      assert.equal(engine.info.runtime, bare.info.runtime)
      assert.equal(getPriority(engine.pid), 19)
      assert.match(readFileSync(`/proc/${engine.pid}/cmdline`, 'latin1'), /child-start\.js/)
      const results = []
      for (const one of [engine, bare]) {
        const trainer = await one.openTrainer(linearProgram(8, 16))
        const { theta } = await trainer.train({
          theta: new Float32Array(8).fill(0.1),
          buffers: new Float32Array(1),
          steps: 200,
          learningRate: { from: 0.1, to: 0.01 },
          batch: async (i) => ({
            samples: 16,
            tensors: {
              x: Float32Array.from({ length: 128 }, (_, k) => Math.sin(i + k)),
              target: Float32Array.from({ length: 16 }, (_, k) => Math.cos(i * k)),
            },
          }),
        }).result
        results.push(theta)
      }
      assert.deepEqual(results[0], results[1])
      assert.ok((await engine.memory()).rssBytes > 30 << 20)
      assert.ok(engine.cpuMs()! > 0)
      assert.equal(engine.freeze(), true)
      for (let tries = 0; !/^State:\s+T/m.test(readFileSync(`/proc/${engine.pid}/status`, 'latin1')); tries++) {
        assert.ok(tries < 1000, 'the process that computes is stopped')
        await pause(10)
      }
      engine.thaw()
      const session = await engine.open(unary('Relu', [1]))
      assert.deepEqual((await session.run({ input: float32([1], [2]) })).output, float32([1], [2]))
    })

    it('runs as WebAssembly too', async () => {
      await using engine = await start({ runtime: 'wasm' })
      assert.equal(engine.isolation.tier, 'wasm')
      const session = await engine.open(unary('Relu', [1]))
      assert.deepEqual((await session.run({ input: float32([1], [2]) })).output, float32([1], [2]))
    })

    it('is killed over its limits of memory and time, by hand, and told of a kill from outside', async () => {
      const small = await start({ maxMemoryBytes: 400 << 20 })
      const outer = await small.open(outerGraph())
      const n = 16_000
      await assert.rejects(outer.run({ column: float32([n, 1]), row: float32([1, n]) }), code('ENGINE_MEMORY'))
      await gone(small.pid)
      await small.close()

      const hasty = await start({ runTimeoutMs: 100 })
      const slow = await hasty.open(slowGraph(2000))
      await assert.rejects(slow.run(slowFeeds()), code('ENGINE_TIMEOUT'))
      await gone(hasty.pid)
      await hasty.close()

      const killed = await start()
      const run = (await killed.open(slowGraph(2000))).run(slowFeeds())
      killed.kill()
      await assert.rejects(run, code('ENGINE_KILLED'))
      await gone(killed.pid)
      await killed.close()

      const shot = await start()
      const other = (await shot.open(slowGraph(2000))).run(slowFeeds())
      process.kill(shot.pid, 'SIGKILL')
      await assert.rejects(
        other,
        (error) =>
          isPinGoError(error, 'ENGINE_CRASHED') && (candidate.tier === 'namespaces' || /SIGKILL/.test(error.message)),
      )
      await shot.close()
    })

    it('ends when its parent is killed, in the middle of a run and even when it is frozen', async () => {
      for (const last of ['', 'engine.freeze()']) {
        const { parent, pid } = await parentOf(candidate, last)
        parent.kill('SIGKILL')
        await gone(pid)
      }
    })
  })

/** Another process that starts an engine, which runs for long, and prints the child's id. */
async function parentOf(candidate: Sandbox, last: string): Promise<{ parent: ChildProcess; pid: number }> {
  const source = `
    import { Engine } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)}
    import { slowFeeds, slowGraph } from ${JSON.stringify(new URL('../testing/graphs.ts', import.meta.url).href)}
    import { candidates } from ${JSON.stringify(new URL('./sandbox.ts', import.meta.url).href)}
    import { findTools } from ${JSON.stringify(new URL('./tools.ts', import.meta.url).href)}
    const engine = await Engine.start({}, candidates(findTools()).find(({ sentence }) => sentence === ${JSON.stringify(candidate.sentence)}))
    const session = await engine.open(slowGraph(2000))
    void session.run(slowFeeds()).catch(() => {})
    ${last}
    console.log(engine.pid)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = await Promise.race([once(parent.stdout!, 'data'), once(parent, 'exit')])
  assert.ok(Buffer.isBuffer(output[0]), 'the parent started an engine')
  return { parent, pid: Number(output[0].toString()) }
}

describe('the choice of isolation', () => {
  it('takes the best that works, and WebAssembly where there is none and it is to choose', async () => {
    const { tier, sentence } = await sandbox()
    await using auto = await Engine.start({ isolation: 'auto' })
    assert.equal(auto.isolation.tier, tier === 'process' ? 'wasm' : tier)
    await using native = await Engine.start({ isolation: 'native' })
    assert.deepEqual(native.isolation, { tier, sentence })
    await using wasm = await Engine.start({ isolation: 'wasm' })
    assert.equal(wasm.isolation.tier, 'wasm')
    assert.equal(wasm.info.runtime, 'onnxruntime-web')
  })

  it('falls from tier to tier where programs are missing or do not work', { skip: !linux }, async () => {
    const broken = { ...tools, bwrap: '/bin/false', unshare: '/nowhere/unshare' }
    const last = await firstThatWorks(candidates(broken))
    assert.equal(last.tier, 'process')
    assert.deepEqual(candidates({}), [])
    assert.equal((await firstThatWorks([])).tier, 'process')
  })
})

describe('no socket leaves the child', { skip: linux && tools.setpriv ? false : 'needs Linux' }, () => {
  const strace = linux && findProgram('strace')
  it('nor is one tried, with telemetry as it is by default and no CI in the environment', {
    skip: strace ? false : 'needs strace',
  }, () => {
    const script = (body: string): string => `
      import { Engine } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)}
      import { unary } from ${JSON.stringify(new URL('../testing/onnx.ts', import.meta.url).href)}
      ${body}`
    const run = `
      for (const runtime of ['native', 'wasm']) {
        const engine = await Engine.start({ runtime })
        const session = await engine.open(unary('Relu', [1]))
        await session.run({ input: { dtype: 'float32', shape: [1], data: new Float32Array(1) } })
        await new Promise((resolve) => setTimeout(resolve, 2000))
        await engine.close()
      }`
    const net = `
      import { connect } from 'node:net'
      connect({ port: 9, host: '127.0.0.1' }).on('error', () => {})`
    const { CI: _, ...env } = process.env
    const log = join(mkdtempSync(join(tmpdir(), 'pingo-strace-')), 'calls')
    const calls = (body: string): string[] => {
      const args = ['-f', '-qq', '-e', 'trace=socket,connect,sendto,sendmsg,bind', '-o', log]
      execFileSync(strace as string, [...args, process.execPath, '--input-type=module', '-e', script(body)], { env })
      return readFileSync(log, 'latin1')
        .split('\n')
        .filter((line) => /AF_INET|AF_NETLINK|AF_PACKET|connect\(|sin_port|bind\(/.test(line))
    }
    assert.ok(calls(net).length > 0, 'one that is tried is seen')
    assert.deepEqual(calls(run), [])
  })
})

function findProgram(name: string): string | undefined {
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}
