import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const COMMAND = join(ROOT, 'apps', 'cli', 'bin', 'pingo.js')

/** The `pingo` command as users run it: a process of its own. */
export interface Command {
  child: ChildProcess
  /** Lines of stdout so far, and all of stderr. */
  lines: string[]
  stderr(): string
  ended: Promise<number | null>
}

/** A folder for a test's homes and files; everything started through it is killed and removed at the end. */
export class Workplace implements AsyncDisposable {
  readonly folder: string
  readonly #children = new Set<ChildProcess>()

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), 'pingo-test-')))
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts)
  }

  /** Starts `pingo args…` with a HOME of this workplace. */
  pingo(args: string[], env: Record<string, string> = {}): Command {
    const child = spawn(process.execPath, [COMMAND, ...args], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: '1', PINGO_HOME: this.path('home'), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#children.add(child)
    const lines: string[] = []
    let stderr = ''
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    child.stderr.on('data', (chunk) => (stderr = (stderr + chunk).slice(-20_000)))
    const ended = once(child, 'close').then(([code]) => {
      this.#children.delete(child)
      return code as number | null
    })
    return { child, lines, stderr: () => stderr, ended }
  }

  /** Runs to its end. @returns exit code, stdout lines, stderr */
  async run(
    args: string[],
    env?: Record<string, string>,
  ): Promise<{ code: number | null; lines: string[]; stderr: string }> {
    const command = this.pingo(args, env)
    const code = await command.ended
    return { code, lines: command.lines, stderr: command.stderr() }
  }

  /** Starts a node and waits for its readiness line. */
  async node(args: string[]): Promise<Command & { ready: Record<string, unknown> }> {
    const command = this.pingo([...args, '--json'])
    await until(() => command.lines.length > 0 || command.child.exitCode !== null, `pingo ${args[0]} to be ready`)
    const ready = JSON.parse(command.lines[0] ?? '{}')
    if (!ready.ready)
      throw new Error(`pingo ${args.join(' ')} did not start: ${command.lines[0] ?? ''} ${command.stderr()}`)
    return { ...command, ready }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.#children]
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(
      children.map((child) =>
        child.exitCode === null && child.signalCode === null ? once(child, 'close') : undefined,
      ),
    )
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Waits for something to become true; only the bound, never the pace, depends on the clock. */
export async function until(condition: () => unknown, what: string, boundMs = 120_000): Promise<void> {
  for (const end = Date.now() + boundMs; !(await condition()); ) {
    if (Date.now() > end) throw new Error(`waited ${boundMs / 1000} s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return response.json() as Promise<T>
}
