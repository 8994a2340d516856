import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const COMMAND = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'apps', 'cli', 'bin', 'pingo.js')

export interface Process {
  child: ChildProcess
  ready: Record<string, unknown>
}

/** A fog node and contributors as separate processes, for as long as a benchmark needs them. */
export class LocalNetwork implements AsyncDisposable {
  readonly folder: string
  readonly fog: Process
  readonly contributors: Process[] = []
  readonly url: string
  readonly token: string

  private constructor(folder: string, fog: Process) {
    this.folder = folder
    this.fog = fog
    this.url = String(fog.ready.url)
    this.token = String(fog.ready.token)
  }

  /** @param args options of each contributor */
  static async start(contributors: number, args: string[] = ['--always']): Promise<LocalNetwork> {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-'))
    const fog = await start(['fog', '--home', join(folder, 'fog'), '--port', '0'])
    const network = new LocalNetwork(folder, fog)
    await Promise.all(Array.from({ length: contributors }, (_, i) => network.contribute(`c${i}`, args)))
    return network
  }

  /** Starts one more contributor; one of the same name goes on with its folder. */
  async contribute(name: string, args: string[] = ['--always']): Promise<Process> {
    const address = (this.fog.ready.multiaddrs as string[])[0]!
    const home = join(this.folder, name)
    const contributor = await start(['contribute', '--home', home, '--name', name, ...args, '--fog', address])
    this.contributors.push(contributor)
    return contributor
  }

  /** Asks a contributor to leave. @returns when it is gone, ms after */
  async leave(contributor: Process): Promise<number> {
    const began = performance.now()
    await end(contributor.child)
    this.contributors.splice(this.contributors.indexOf(contributor), 1)
    return performance.now() - began
  }

  /** Kills a contributor: its folder stays. */
  async kill(contributor: Process): Promise<void> {
    const exit = once(contributor.child, 'exit')
    contributor.child.kill('SIGKILL')
    await exit
    this.contributors.splice(this.contributors.indexOf(contributor), 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of [...this.contributors, this.fog]) await end(child)
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Asks a process to end, and ends it when it does not. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exit
  clearTimeout(timer)
}

async function start(args: string[]): Promise<Process> {
  const child = spawn(process.execPath, [COMMAND, ...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
  return { child, ready: JSON.parse(line) }
}
