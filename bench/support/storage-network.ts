import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ProcessStats } from '../../packages/storage/src/testing/stats.ts'

const NODE = fileURLToPath(new URL('../../packages/storage/src/testing/storage-node.ts', import.meta.url))

/** A storage node in a process of its own. */
export class StorageProcess {
  readonly child: ChildProcess
  readonly folder: string
  readonly url: string
  readonly peerId: string
  readonly token: string
  readonly #answers: AsyncIterator<string>
  #obeying: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess, folder: string, answers: AsyncIterator<string>, ready: string) {
    this.child = child
    this.folder = folder
    this.#answers = answers
    const { url, peerId, token } = JSON.parse(ready) as { url: string; peerId: string; token: string }
    this.url = url
    this.peerId = peerId
    this.token = token
  }

  static async start(folder: string, arguments_: string[]): Promise<StorageProcess> {
    const child = spawn(process.execPath, [NODE, folder, ...arguments_], { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin!.on('error', () => undefined) // it was killed
    const answers = createInterface(child.stdout!)[Symbol.asyncIterator]()
    const { value, done } = await answers.next()
    if (done) throw new Error('A storage node did not start.')
    return new StorageProcess(child, folder, answers, value)
  }

  get isUp(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Has it do what `storage-node.ts` knows. @returns what it answers; undefined when it was killed meanwhile */
  order<T = { error?: string }>(order: { do?: string; ms?: number }): Promise<T | undefined> {
    const answered = this.#obeying.then(async () => {
      if (!this.isUp) return undefined
      this.child.stdin!.write(`${JSON.stringify(order)}\n`)
      const { value, done } = await this.#answers.next()
      return done ? undefined : (JSON.parse(value) as T)
    })
    this.#obeying = answered
    return answered
  }

  async stats(): Promise<ProcessStats> {
    const stats = await this.order<ProcessStats & { error?: string }>({ do: 'stats' })
    if (!stats || stats.error) throw new Error(`${this.url} tells nothing of itself: ${stats?.error}`)
    return stats
  }

  async kill(): Promise<void> {
    if (!this.isUp) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

/** Storage nodes as separate processes, disks in a temporary folder, for as long as a benchmark needs them. */
export class StorageNetwork implements AsyncDisposable {
  readonly folder: string
  readonly nodes: StorageProcess[] = []
  readonly #arguments: string[]
  /** What all clocks are ahead. */
  aheadMs = 0
  #started = 0

  private constructor(folder: string, arguments_: string[]) {
    this.folder = folder
    this.#arguments = arguments_
  }

  /** @param arguments_ given to each node, see `storage-node.ts` */
  static async start(n: number, arguments_: string[] = []): Promise<StorageNetwork> {
    const network = new StorageNetwork(await mkdtemp(join(tmpdir(), 'pingo-bench-')), arguments_)
    try {
      for (let i = 0; i < n; i++) await network.add()
    } catch (error) {
      await network[Symbol.asyncDispose]()
      throw error
    }
    return network
  }

  /** A new node. */
  async add(): Promise<StorageProcess> {
    const node = await this.#start(join(this.folder, String(this.#started++)), [])
    this.nodes.push(node)
    return node
  }

  /** One that was killed starts again where it was. */
  async restart(node: StorageProcess): Promise<StorageProcess> {
    const again = await this.#start(node.folder, ['--port', new URL(node.url).port])
    this.nodes[this.nodes.indexOf(node)] = again
    return again
  }

  #start(folder: string, more: string[]): Promise<StorageProcess> {
    const peers = this.nodes.filter(({ isUp }) => isUp).flatMap(({ url }) => ['--peer', url])
    const clock = this.aheadMs > 0 ? ['--clock', String(this.aheadMs)] : []
    return StorageProcess.start(folder, [...peers.slice(0, 8), ...clock, ...more, ...this.#arguments])
  }

  get live(): StorageProcess[] {
    return this.nodes.filter(({ isUp }) => isUp)
  }

  async order(order: { do?: string; ms?: number }): Promise<void> {
    this.aheadMs += order.ms ?? 0
    const answers = await Promise.all(this.live.map((node) => node.order(order)))
    for (const answer of answers) if (answer?.error) throw new Error(`A node could not ${order.do}: ${answer.error}`)
  }

  /** Waits until each node that lives knows all others. @throws Error when they do not find each other within `withinMs` */
  async meet(withinMs = 120_000): Promise<void> {
    const until = Date.now() + withinMs
    for (;;) {
      const { live } = this
      const known = await Promise.all(live.map((node) => node.order<{ members: number }>({ do: 'members' })))
      if (known.every((answer) => answer && answer.members >= live.length - 1)) return
      if (Date.now() > until) throw new Error('The nodes do not find each other.')
      await sleep(200)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await rm(this.folder, { recursive: true, force: true })
  }
}
