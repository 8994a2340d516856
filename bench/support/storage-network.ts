import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const NODE = fileURLToPath(new URL('../../packages/storage/src/testing/storage-node.ts', import.meta.url))

/** A storage node in a process of its own. */
export interface StorageProcess {
  child: ChildProcess
  url: string
  peerId: string
  token: string
}

/** Storage nodes as separate processes, disks in a temporary folder, for as long as a benchmark needs them. */
export class StorageNetwork implements AsyncDisposable {
  readonly folder: string
  readonly nodes: StorageProcess[]

  private constructor(folder: string, nodes: StorageProcess[]) {
    this.folder = folder
    this.nodes = nodes
  }

  /** @param arguments_ given to each node, see `storage-node.ts` */
  static async start(n: number, arguments_: string[] = []): Promise<StorageNetwork> {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-'))
    const network = new StorageNetwork(folder, [])
    try {
      for (let i = 0; i < n; i++) {
        const peer = network.nodes[0] ? ['--peer', network.nodes[0].url] : []
        network.nodes.push(await startNode(join(folder, String(i)), [...peer, ...arguments_]))
      }
    } catch (error) {
      await network[Symbol.asyncDispose]()
      throw error
    }
    return network
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.nodes.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
      }),
    )
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function startNode(folder: string, arguments_: string[]): Promise<StorageProcess> {
  const child = spawn(process.execPath, [NODE, folder, ...arguments_], { stdio: ['ignore', 'pipe', 'inherit'] })
  const failed = once(child, 'exit').then(() => {
    throw new Error('A storage node did not start.')
  })
  failed.catch(() => undefined)
  const [line] = (await Promise.race([once(createInterface(child.stdout!), 'line'), failed])) as [string]
  const { url, peerId, token } = JSON.parse(line) as { url: string; peerId: string; token: string }
  return { child, url, peerId, token }
}
