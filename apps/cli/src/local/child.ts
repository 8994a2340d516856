import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { PinGoError } from '@pingo/wire'
import { z } from 'zod'

const COMMAND = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'pingo.js')
const READY_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 15_000

const FirstLineSchema = z.union([
  z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }) }),
  z.looseObject({ ready: z.literal(true) }),
])

/** A node in a process of its own. */
export interface Child {
  readonly pid: number
  /** What its readiness line told. */
  readonly ready: Record<string, unknown>
  /** Settles when the process has ended, with why when nobody asked it to. */
  readonly ended: Promise<string | undefined>
  /** Asks it to end, and ends it when it takes too long. */
  stop(): Promise<void>
}

/**
 * Starts `pingo …args --json --with-parent` as a process of its own that ends when this one does (its stdin closes), and waits
 * for its readiness line. Its log goes to `log`.
 * @throws PinGoError the child's own error; CHILD_FAILED
 */
export async function startChild(args: string[], o: { log: string; signal?: AbortSignal }): Promise<Child> {
  o.signal?.throwIfAborted()
  mkdirSync(dirname(o.log), { recursive: true })
  const log = openSync(o.log, 'a', 0o600)
  const child = spawn(process.execPath, [COMMAND, ...args, '--json', '--with-parent'], {
    stdio: ['pipe', 'pipe', log],
    detached: process.platform !== 'win32', // Ctrl-C is ours: we end them in order
    windowsHide: true,
  })
  closeSync(log)
  let asked = false
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(asked ? undefined : (signal ?? `exit code ${code}`)))
  })
  const stop = async () => {
    asked = true
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(timer)
  }
  try {
    const ready = await firstLine(child, ended, args[0]!, o)
    return { pid: child.pid!, ready, ended, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function firstLine(
  child: ChildProcess,
  ended: Promise<string | undefined>,
  name: string,
  o: { log: string; signal?: AbortSignal },
): Promise<Record<string, unknown>> {
  const failed = (why: string) =>
    new PinGoError('CHILD_FAILED', `The process \`pingo ${name}\` ${why}.`, { hint: `Its log is ${o.log}.` })
  const lines = createInterface({ input: child.stdout! })
  const waiting = AbortSignal.any([AbortSignal.timeout(READY_TIMEOUT_MS), ...(o.signal ? [o.signal] : [])])
  try {
    return await new Promise((resolve, reject) => {
      lines.once('line', (line) => {
        const parsed = FirstLineSchema.safeParse(parseOrUndefined(line))
        if (!parsed.success) reject(failed('did not start as expected'))
        else if ('error' in parsed.data) {
          const { code, message, hint } = parsed.data.error as { code: string; message: string; hint?: string }
          reject(new PinGoError(code, message, { hint }))
        } else resolve(parsed.data)
      })
      // what it said before it ended comes first
      lines.once(
        'close',
        () => void ended.then((why) => reject(failed(`ended before it was ready (${why ?? 'stopped'})`))),
      )
      waiting.addEventListener('abort', () =>
        reject(o.signal?.aborted ? o.signal.reason : failed(`was not ready within ${READY_TIMEOUT_MS / 1000} s`)),
      )
    })
  } finally {
    lines.close()
    child.stdout!.resume()
  }
}

function parseOrUndefined(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
