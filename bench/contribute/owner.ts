import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onCore } from '../support/on-core.ts'

const PROGRAM = join(import.meta.dirname, 'owner-program.ts')

/** How the owner's program works: `busy` ms out of every `every` ms, for `total` ms. */
export interface Habit {
  busy: number
  every: number
  total: number
}

/** A CPU-hungry program of the owner on all cores; what it got done tells how much it was slowed. */
export class OwnerProgram implements Disposable {
  readonly #children: ChildProcess[]
  readonly #lines: AsyncIterator<string>[]

  private constructor(children: ChildProcess[], lines: AsyncIterator<string>[]) {
    this.#children = children
    this.#lines = lines
  }

  /** Starts it, ready to begin: it uses no CPU yet. @param core it may use this one alone */
  static async start(
    { busy, every, total }: Habit,
    processes = availableParallelism(),
    core?: number,
  ): Promise<OwnerProgram> {
    const args = [PROGRAM, '--busy', String(busy), '--every', String(every), '--total', String(total)]
    const [command, ...rest] = onCore(core, [process.execPath, ...args])
    const children = Array.from({ length: processes }, () =>
      spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const lines = children.map((child) => createInterface({ input: child.stdout! })[Symbol.asyncIterator]())
    await Promise.all(lines.map((each) => each.next()))
    return new OwnerProgram(children, lines)
  }

  begin(): void {
    for (const child of this.#children) child.stdin!.end('go\n')
  }

  /** Pieces of work that all its processes got done together, when its time is over. */
  async done(): Promise<number> {
    const results = await Promise.all(this.#lines.map((each) => each.next()))
    return results.reduce((sum, { value }) => sum + (JSON.parse(value) as { chunks: number }).chunks, 0)
  }

  /** Ends it at once. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      }),
    )
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}
