import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const COMMAND = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'apps', 'cli', 'bin', 'pingo.js')

interface Process {
  child: ChildProcess
  ready: Record<string, unknown>
}

/** A fog node and contributors as separate processes, for as long as a benchmark needs them. */
export class LocalNetwork implements AsyncDisposable {
  readonly folder: string
  readonly fog: Process
  readonly contributors: Process[]
  readonly url: string
  readonly token: string

  private constructor(folder: string, fog: Process, contributors: Process[]) {
    this.folder = folder
    this.fog = fog
    this.contributors = contributors
    this.url = String(fog.ready.url)
    this.token = String(fog.ready.token)
  }

  static async start(contributors: number): Promise<LocalNetwork> {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-'))
    const fog = await start(['fog', '--home', join(folder, 'fog'), '--port', '0'])
    const address = (fog.ready.multiaddrs as string[])[0]!
    const all = await Promise.all(
      Array.from({ length: contributors }, (_, i) =>
        start([
          'contribute',
          '--always',
          '--home',
          join(folder, `contributor-${i}`),
          '--name',
          `c${i}`,
          '--fog',
          address,
        ]),
      ),
    )
    return new LocalNetwork(folder, fog, all)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of [...this.contributors, this.fog]) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      clearTimeout(timer)
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function start(args: string[]): Promise<Process> {
  const child = spawn(process.execPath, [COMMAND, ...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
  return { child, ready: JSON.parse(line) }
}
