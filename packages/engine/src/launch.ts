import { type ChildProcess, fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, realpath } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PinGoError } from '@pingo/wire'
import { codeCache } from './code-cache.ts'
import { CLOSE_TIMEOUT_MS, MAX_CAPTURED_BYTES, START_TIMEOUT_MS } from './limits.ts'
import { OWN_FOLDER } from './own-folder.js'
import { BATCHES_FD, type ChildSettings, type FromChild, WEIGHTS_FD } from './protocol.ts'
import { feed, type Sandbox } from './sandbox/sandbox.ts'
import { innermost, reniceAll } from './sandbox/tree.ts'

const CHILD = fileURLToPath(new URL('./child-start.js', import.meta.url))
/**
 * Settings of glibc's allocator, which serves tensors (see runtime.ts): large blocks come from the heap and stay with the process, so that
 * a step reuses the memory of the one before without asking the kernel for pages. Small blocks are joined with what is free beside them at
 * once, not set aside: else those left over around aligned tensors keep their holes apart, and the heap of a training step grows by half and more
 * in its first hundred steps. Pages are large where the kernel gives such to who asks: a step walks through tens of megabytes and more, and its
 * addresses are found faster (3 to 6 % less CPU time, a megabyte or two more memory). Other systems ignore all of this. WebAssembly has memory of
 * its own: with these settings what its results leave behind would stay with the process (415 MB for a lease that takes 297 MB without).
 */
const ALLOCATOR = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 40),
  MALLOC_TOP_PAD_: String(2 ** 20),
  MALLOC_ARENA_MAX: '1',
  GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0:glibc.malloc.hugetlb=1',
}
/** A small young generation and no helper threads of V8: what computes is not JavaScript. A collection can be asked for (leftovers.ts). */
const V8_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=0', '--expose-gc']
/** Windows keeps a folder for a moment after the process that was in it. */
const REMOVE = { recursive: true, force: true, maxRetries: 5 }

/** A child that has loaded its runtime. */
export interface Launched {
  child: ChildProcess
  /** The process that runs graphs: the child, or what its wrappers started. */
  pid: number
  /** Where batches go, in frames. */
  batches: Socket
  /** Where weights go, and come back in frames. */
  weights: Socket
  ready: Extract<FromChild, { type: 'ready' }>
  /** Resolves when the process is gone and its folder removed. */
  gone: Promise<void>
  /** The last that it printed on its error output. */
  output(): string
}

/**
 * Starts the child in an empty folder, with an empty environment, and waits until its runtime is loaded.
 * @throws PinGoError ENGINE_START_FAILED, ENGINE_TIMEOUT
 */
export async function launch(
  settings: ChildSettings,
  niceness: number | undefined,
  { wrapper, filter }: Pick<Sandbox, 'wrapper' | 'filter'>,
  ownSession = false,
): Promise<Launched> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), OWN_FOLDER)))
  let child: ChildProcess
  try {
    child = fork(CHILD, [JSON.stringify(settings), codeCache()], {
      cwd: folder,
      env: childEnvironment(settings),
      ...(wrapper
        ? { execPath: wrapper.file, execArgv: [...wrapper.args, process.execPath, ...V8_FLAGS] }
        : { execArgv: V8_FLAGS }),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe', 'pipe', ...(filter ? ['pipe' as const] : [])],
      windowsHide: true,
      // on Windows that is a console of its own
      detached: ownSession && process.platform !== 'win32',
    })
  } catch (cause) {
    rmSync(folder, REMOVE)
    throw new PinGoError('ENGINE_START_FAILED', `The engine's process cannot be started: ${String(cause)}.`, { cause })
  }
  if (filter) feed(child.stdio, filter)
  const output = capture(child)
  const [batches, weights] = [BATCHES_FD, WEIGHTS_FD].map((fd) => child.stdio[fd] as Socket | undefined)
  for (const pipe of [batches, weights]) pipe?.on('error', () => {}).unref()
  batches?.resume()
  const gone = new Promise<void>((resolve) => {
    const ended = (): void => {
      rmSync(folder, REMOVE)
      resolve()
    }
    child.once('close', ended)
    child.once('error', () => child.pid === undefined && ended())
  })
  try {
    if (child.pid !== undefined && niceness !== undefined) reniceAll(child.pid, clamped(niceness))
    const ready = await firstMessage(child, output)
    const pid = wrapper ? innermost(child.pid!) : child.pid!
    if (wrapper && niceness !== undefined) reniceAll(pid, clamped(niceness))
    return { child, pid, batches: batches!, weights: weights!, ready, gone, output }
  } catch (error) {
    child.kill('SIGKILL')
    await untilGone(gone, () => child.kill('SIGKILL'))
    throw error
  }
}

/** Waits for a child and its pipes to go, and kills it meanwhile every {@link CLOSE_TIMEOUT_MS}: pipes that are left alone do not keep this process waiting. */
export async function untilGone(gone: Promise<void>, kill: () => void): Promise<void> {
  const timer = setInterval(kill, CLOSE_TIMEOUT_MS)
  await gone
  clearInterval(timer)
}

/** Nothing of the user's environment; the runtime's telemetry is off before it loads. Windows programs need the system's folder. */
function childEnvironment({ runtime }: ChildSettings): NodeJS.ProcessEnv {
  const kept = process.platform === 'win32' ? ['SystemRoot', 'windir'] : []
  return {
    ORT_DISABLE_TELEMETRY: '1',
    ...(runtime === 'wasm' ? {} : ALLOCATOR),
    ...Object.fromEntries(kept.map((name) => [name, process.env[name]]).filter(([, value]) => value !== undefined)),
  }
}

const clamped = (niceness: number): number =>
  Math.min(Math.max(niceness, constants.priority.PRIORITY_HIGHEST), constants.priority.PRIORITY_LOW)

/** Keeps the last bytes that the child prints on its error output. */
function capture(child: ChildProcess): () => string {
  let kept = Buffer.alloc(0)
  child.stderr?.on('data', (piece: Buffer) => {
    kept = Buffer.concat([kept, piece]).subarray(-MAX_CAPTURED_BYTES)
  })
  ;(child.stderr as unknown as { unref?(): void })?.unref?.()
  return () => kept.toString('utf8')
}

function firstMessage(child: ChildProcess, output: () => string): Promise<Extract<FromChild, { type: 'ready' }>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => settle(reject, new PinGoError('ENGINE_TIMEOUT', `The engine did not start within ${START_TIMEOUT_MS} ms.`)),
      START_TIMEOUT_MS,
    )
    const onMessage = (message: unknown): void => {
      const ready = message as FromChild
      if (ready.type === 'ready') settle(resolve, ready)
    }
    const onError = (cause: Error): void =>
      settle(
        reject,
        new PinGoError('ENGINE_START_FAILED', `The engine's process cannot be started: ${cause.message}.`, { cause }),
      )
    const onClose = (code: number | null, signal: string | null): void =>
      settle(
        reject,
        new PinGoError(
          'ENGINE_START_FAILED',
          `The engine's process ended while it started (${signal ?? `exit code ${code}`})${lastWords(output())}.`,
          { hint: "Install again with 'npm install'; onnxruntime-node needs glibc 2.28 or newer on Linux." },
        ),
      )
    const settle = <T>(settler: (value: T) => void, value: T): void => {
      clearTimeout(timer)
      child.off('message', onMessage).off('error', onError).off('close', onClose)
      settler(value)
    }
    child.on('message', onMessage).on('error', onError).on('close', onClose)
  })
}

/** The line of the child's last words that says most. */
export function lastWords(output: string): string {
  const lines = output.trim().split('\n')
  const line = (lines.findLast((text) => /error|exception/i.test(text)) ?? lines.at(-1))?.trim().slice(0, 300)
  return line ? `: ${line}` : ''
}
