import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { getPriority } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { Engine, engineInfo } from './index.ts'
import { outerGraph, slowFeeds, slowGraph } from './testing/graphs.ts'
import { FLOAT, INT64, model, tensor, UINT8, unary } from './testing/onnx.ts'
import { float32 } from './testing/tensors.ts'

const linux = process.platform === 'linux'

const code = (wanted: string) => (error: unknown) => isPinGoError(error, wanted)

/** Resolves once no process has this id. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('an engine', () => {
  let engine: Engine
  before(async () => {
    process.env.PINGO_TEST_SECRET = 'of the user'
    engine = await Engine.start({ niceness: 19 })
  })
  after(async () => {
    delete process.env.PINGO_TEST_SECRET
    await engine.close()
  })

  it('runs a graph and gives all outputs, or those that are asked for', async () => {
    const session = await engine.open(
      model({
        nodes: [
          { op: 'Relu', inputs: ['x'], outputs: ['positive'] },
          { op: 'Sub', inputs: ['positive', 'x'], outputs: ['negative'] },
        ],
        inputs: [['x', ['n', 2]]],
        outputs: [
          ['positive', ['n', 2]],
          ['negative', ['n', 2]],
        ],
      }),
    )
    assert.deepEqual(session.inputs, [{ name: 'x', dtype: 'float32', shape: ['n', 2] }])
    assert.deepEqual(
      session.outputs.map(({ name }) => name),
      ['positive', 'negative'],
    )
    const x = float32([2, 2], [1, -2, 3, -4])
    assert.deepEqual(await session.run({ x }), {
      positive: float32([2, 2], [1, 0, 3, 0]),
      negative: float32([2, 2], [0, 2, 0, 4]),
    })
    assert.deepEqual(Object.keys(await session.run({ x }, ['negative'])), ['negative'])
    await session.close()
    await assert.rejects(session.run({ x }), code('ENGINE_CLOSED'))
  })

  it('passes a view on a larger buffer as the elements of the view', async () => {
    const session = await engine.open(unary('Relu', [2]))
    const data = Float32Array.of(9, 9, 9, -1, 5, 9).subarray(3, 5)
    const { output } = await session.run({ input: { dtype: 'float32', shape: [2], data } })
    assert.deepEqual(output, float32([2], [0, 5]))
  })

  it('passes integers, bytes, booleans and halves', async () => {
    const types = [
      ['int64', INT64, BigInt64Array.of(-3n, 2n ** 62n)],
      ['int32', 6, Int32Array.of(-3, 7)],
      ['uint8', UINT8, Uint8Array.of(0, 255)],
      ['bool', 9, Uint8Array.of(0, 1)],
      ['float16', 10, Uint16Array.of(0x3c00, 0xc000)],
      ['float64', 11, Float64Array.of(0.1, -1e300)],
    ] as const
    for (const [dtype, number, data] of types) {
      const session = await engine.open(
        model({
          nodes: [{ op: 'Identity', inputs: ['input'], outputs: ['output'] }],
          inputs: [['input', [2], number]],
          outputs: [['output', [2], number]],
        }),
      )
      const { output } = await session.run({ input: { dtype, shape: [2], data } })
      assert.deepEqual(output, { dtype, shape: [2], data }, dtype)
      await session.close()
    }
  })

  it('refuses feeds and fetches that do not fit, by name', async () => {
    const session = await engine.open(unary('Relu', ['n', 4]))
    const refusals: [Parameters<typeof session.run>, RegExp][] = [
      [[{}], /'input' is not fed/],
      [[{ input: float32([4]) }], /shape \[4\], the graph wants \[n,4\]/],
      [[{ input: float32([1, 5]) }], /shape \[1,5\]/],
      [[{ input: { ...float32([1, 4]), dtype: 'int32' } }], /is int32, the graph wants float32/],
      [[{ input: { dtype: 'float32', shape: [1, 4], data: new Int32Array(4) } }], /Float32Array/],
      [[{ input: { dtype: 'float32', shape: [1, 4], data: new Float32Array(3) } }], /has 3 elements/],
      [[{ input: float32([1, 4]), other: float32([1]) }], /no input 'other'/],
      [[{ input: float32([1, 4]) }, ['nothing']], /no output 'nothing'/],
    ]
    for (const [args, sentence] of refusals)
      await assert.rejects(
        session.run(...args),
        (error) => isPinGoError(error, 'TENSOR_MISMATCH') && sentence.test(error.message),
      )
  })

  it("reports a graph's own failure and works on", async () => {
    const session = await engine.open(
      model({
        nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['output'] }],
        inputs: [
          ['a', ['n']],
          ['b', ['m']],
        ],
        outputs: [['output', ['k']]],
      }),
    )
    await assert.rejects(session.run({ a: float32([2]), b: float32([3]) }), code('ENGINE_RUN_FAILED'))
    assert.deepEqual((await session.run({ a: float32([1], [1]), b: float32([1], [2]) })).output, float32([1], [3]))
  })

  it('says what runs, here and in the child', async () => {
    assert.equal(engine.info.runtime, engineInfo().runtime)
    assert.equal(engine.info.version, engineInfo().version)
    assert.match(engine.info.version, /^\d+\.\d+\.\d+$/)
    assert.equal(engine.info.threads, 1)
    assert.ok((await engine.memory()).rssBytes > 10 << 20)
    assert.equal(getPriority(engine.pid), 19)
  })

  if (linux)
    it('gives the child nothing of the user: no environment, no files, no network; telemetry is off', async () => {
      const environment = readFileSync(`/proc/${engine.pid}/environ`, 'utf8').split('\0').filter(Boolean)
      assert.ok(environment.includes('ORT_DISABLE_TELEMETRY=1'))
      assert.deepEqual(
        environment
          .map((entry) => entry.split('=')[0]!)
          // The allocator's settings; glibc cuts the list of its tunables in place.
          .filter((name) => !/^(ORT_DISABLE_TELEMETRY|MALLOC_.*|GLIBC_TUNABLES|glibc\.malloc\..*)$/.test(name))
          .sort(),
        ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE'],
      )
      assert.deepEqual(readdirSync(`/proc/${engine.pid}/cwd`), [])
      const session = await engine.open(unary('Relu'))
      await session.run({ input: float32([4]) })
      assert.deepEqual(internetSockets(engine.pid), [])
    })
})

/** Inodes of the process's open sockets that are TCP, UDP or raw; those that pair it with its parent are Unix sockets. */
function internetSockets(pid: number): string[] {
  const inet = new Set<string>()
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6', 'packet'])
    if (existsSync(`/proc/${pid}/net/${table}`))
      for (const line of readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1))
        inet.add(line.trim().split(/\s+/)[table === 'packet' ? 8 : 9] ?? '')
  const open = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      return []
    }
  })
  assert.ok(open.length > 0, 'the channel to the parent is a socket')
  return open.filter((inode) => inet.has(inode))
}

describe("an engine's end", () => {
  it('comes at once by kill: every pending promise rejects with ENGINE_KILLED, later ones too', async () => {
    const engine = await Engine.start()
    const folder = linux ? readlinkSync(`/proc/${engine.pid}/cwd`) : undefined
    const session = await engine.open(slowGraph())
    const runs = [session.run(slowFeeds()), session.run(slowFeeds()), engine.open(unary('Relu'))]
    engine.kill()
    assert.deepEqual(
      (await Promise.allSettled(runs)).map((run) => run.status === 'rejected' && run.reason.code),
      ['ENGINE_KILLED', 'ENGINE_KILLED', 'ENGINE_KILLED'],
    )
    assert.equal(engine.alive, false)
    await assert.rejects(session.run(slowFeeds()), code('ENGINE_KILLED'))
    await assert.rejects(engine.memory(), code('ENGINE_KILLED'))
    await engine.close()
    await gone(engine.pid)
    if (folder) assert.equal(existsSync(folder), false)
  })

  it('by a kill from outside is ENGINE_CRASHED, with the signal', async () => {
    const engine = await Engine.start()
    const session = await engine.open(slowGraph())
    const run = session.run(slowFeeds())
    process.kill(engine.pid, 'SIGKILL')
    await assert.rejects(run, (error) => isPinGoError(error, 'ENGINE_CRASHED') && /SIGKILL/.test(error.message))
    await engine.close()
  })

  it('does not come by Ctrl-C or by a polite signal: the parent decides', async () => {
    const engine = await Engine.start()
    const session = await engine.open(unary('Relu', [1]))
    process.kill(engine.pid, 'SIGINT')
    process.kill(engine.pid, 'SIGTERM')
    assert.deepEqual((await session.run({ input: float32([1], [2]) })).output, float32([1], [2]))
    await engine.close()
  })

  it('comes when a run takes longer than its limit', async () => {
    const engine = await Engine.start({ runTimeoutMs: 50 })
    const session = await engine.open(slowGraph())
    await assert.rejects(session.run(slowFeeds()), code('ENGINE_TIMEOUT'))
    await assert.rejects(session.run(slowFeeds()), code('ENGINE_TIMEOUT'))
    await engine.close()
  })

  it('comes when a run that is in progress is aborted; one that still waits is only taken back', async () => {
    const engine = await Engine.start()
    const session = await engine.open(slowGraph(8))
    const waiting = new AbortController()
    const running = new AbortController()
    const first = session.run(slowFeeds(), undefined, running.signal)
    const second = session.run(slowFeeds(), undefined, waiting.signal)
    waiting.abort()
    await assert.rejects(second, code('ENGINE_ABORTED'))
    assert.equal(engine.alive, true)
    running.abort()
    await assert.rejects(first, code('ENGINE_ABORTED'))
    assert.equal(engine.alive, false)
    await assert.rejects(session.run(slowFeeds(), undefined, AbortSignal.abort()), code('ENGINE_ABORTED'))
    await engine.close()
  })

  it("comes by the engine's own signal, even before it started", async () => {
    const controller = new AbortController()
    const engine = await Engine.start({ signal: controller.signal })
    const session = await engine.open(slowGraph())
    const run = session.run(slowFeeds())
    controller.abort()
    await assert.rejects(run, code('ENGINE_ABORTED'))
    await engine.close()
    await assert.rejects(Engine.start({ signal: controller.signal }), code('ENGINE_ABORTED'))
  })

  it('comes when the child uses more memory than it may', async () => {
    const engine = await Engine.start({ maxMemoryBytes: 400 << 20 })
    const session = await engine.open(outerGraph())
    const n = 16_000
    const run = session.run({ column: float32([n, 1]), row: float32([1, n]) })
    await assert.rejects(run, code('ENGINE_MEMORY'))
    await engine.close()
  })

  it('rejects what is pending with ENGINE_CLOSED when it is closed', async () => {
    const engine = await Engine.start()
    const session = await engine.open(slowGraph(8))
    const run = assert.rejects(session.run(slowFeeds()), code('ENGINE_CLOSED'))
    await engine.close()
    await run
    await assert.rejects(engine.open(unary('Relu')), code('ENGINE_CLOSED'))
    await gone(engine.pid)
  })

  it('comes soon after the parent was killed, even in the middle of a run', async () => {
    const { parent, pid } = await parentOf(`
      const session = await engine.open(slowGraph(2000))
      void session.run(slowFeeds())`)
    const folder = linux ? readlinkSync(`/proc/${pid}/cwd`) : undefined
    parent.kill('SIGKILL')
    await gone(pid)
    if (folder) assert.equal(existsSync(folder), false)
  })

  it('is not waited for by a parent that has nothing left to do', async () => {
    const { parent, pid } = await parentOf('')
    if (parent.exitCode === null) await once(parent, 'exit')
    assert.equal(parent.exitCode, 0)
    await gone(pid)
  })
})

/** Another process that starts an engine, does what `script` says and prints the child's id. */
async function parentOf(script: string): Promise<{ parent: ChildProcess; pid: number }> {
  const source = `
    import { Engine } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)}
    import { slowFeeds, slowGraph } from ${JSON.stringify(new URL('./testing/graphs.ts', import.meta.url).href)}
    const engine = await Engine.start()
    ${script}
    console.log(engine.pid)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = await Promise.race([once(parent.stdout!, 'data'), once(parent, 'exit')])
  assert.ok(Buffer.isBuffer(output[0]), 'the parent started an engine')
  return { parent, pid: Number(output[0].toString()) }
}

describe('options', () => {
  it('are refused when they make no sense', async () => {
    await assert.rejects(Engine.start({ threads: 0 }), code('ENGINE_OPTIONS_INVALID'))
    await assert.rejects(Engine.start({ threads: 1.5 }), code('ENGINE_OPTIONS_INVALID'))
  })

  it('runs as WebAssembly when asked, with the same results', async () => {
    const warnings: string[] = []
    const logger = { debug: () => {}, warn: (_: object, message: string) => warnings.push(message) }
    const engine = await Engine.start({ runtime: 'wasm', logger })
    try {
      assert.equal(engine.info.runtime, 'onnxruntime-web')
      const weights = tensor('w', FLOAT, [2, 2], Float32Array.of(1, 2, 3, 4))
      const session = await engine.open(
        model({
          nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
          inputs: [['x', ['n', 2]]],
          outputs: [['y', ['n', 2]]],
          initializers: [weights],
        }),
      )
      assert.deepEqual((await session.run({ x: float32([1, 2], [1, 1]) })).y, float32([1, 2], [4, 6]))
      assert.deepEqual(warnings, [])
    } finally {
      await engine.close()
    }
  })
})
