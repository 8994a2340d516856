import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..')
export const COMMAND = join(ROOT, 'apps', 'cli', 'bin', 'pingo.js')

export interface Run {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A folder with a home of its own; what was started in it ends and all is removed at the end. */
export class Place implements AsyncDisposable {
  readonly folder: string
  readonly #children = new Set<ChildProcess>()

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<Place> {
    return new Place(await mkdtemp(join(tmpdir(), 'pingo-cli-')))
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts)
  }

  write(name: string, content: string | Uint8Array): Promise<void> {
    return writeFile(this.path(name), content)
  }

  /** Starts `pingo args…`, by another Node than ours when `node` names one. */
  start(
    args: string[],
    o: { node?: string; env?: NodeJS.ProcessEnv } = {},
  ): { child: ChildProcess; ended: Promise<Run>; stdout(): string; stderr(): string } {
    const child = spawn(o.node ?? process.execPath, [COMMAND, ...args], {
      cwd: this.folder,
      env: {
        ...process.env,
        NO_COLOR: '1',
        PINGO_HOME: this.path('home'),
        PINGO_FOG: '',
        PINGO_TOKEN: '',
        PINGO_CHAIN: '',
        ...o.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#children.add(child)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => (stdout += part))
    child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part))
    const ended = once(child, 'close').then(([code, signal]): Run => {
      this.#children.delete(child)
      return { code, signal, stdout, stderr }
    })
    return { child, ended, stdout: () => stdout, stderr: () => stderr }
  }

  run(args: string[], o: { node?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Run> {
    return this.start(args, o).ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.#children]
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map((child) => (child.exitCode ?? child.signalCode) === null && once(child, 'close')))
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

export async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string; port: number }> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Waits for something to become true; the bound is for tests that fail. */
export async function until(condition: () => unknown, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; !condition(); ) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
