import { type Dataset, openDataset, readDatasetManifest } from '@pingo/data/reading'
import type { BrowserEngine, Trainer } from '@pingo/engine/browser'
import { openSealedFileWeb } from '@pingo/storage/browser'
import {
  decode,
  type FileRef,
  MAX_MANIFEST_BYTES,
  PinGoError,
  type ProgramManifest,
  ProgramManifestSchema,
} from '@pingo/wire'
import { HELD_PACE, type Loan, lendEngine } from '../capacity/loan.ts'
import type { WebFiles } from './fetch-file.ts'

/** Part of the memory that is lent which shards of a dataset may take; the rest is the engine's. */
const DATA_SHARE = 0.25

interface Prepared {
  program: ProgramManifest
  trainer: Trainer
  data: Dataset
}

/** As the native contributor's workbench: program and dataset of the last lease stay open, so that the next lease of the job starts at once. */
export class WebWorkbench {
  readonly #files: WebFiles
  readonly #startEngine: () => Promise<BrowserEngine>
  readonly #memoryBytes: number
  #share: number
  #engine: BrowserEngine | undefined
  #starting: Promise<BrowserEngine> | undefined
  /** Challenges that hold up what is trained. */
  #holds = 0
  #open: { job: string; key: string; prepared: Prepared } | undefined
  /** Of the private data of the lease that runs, in memory alone; zeros once that is over. */
  #grant: { job: string; dataset: string; key: Uint8Array; until: number } | undefined

  constructor(o: {
    files: WebFiles
    startEngine: () => Promise<BrowserEngine>
    memoryBytes: number
    /** Part of the time that the engine may step, 0 to 1. */
    share: number
  }) {
    this.#files = o.files
    this.#startEngine = o.startEngine
    this.#memoryBytes = o.memoryBytes
    this.#share = o.share
  }

  /** What runs graphs, once it was started. */
  get runtime(): string | undefined {
    return this.#engine && `${this.#engine.info.runtime} ${this.#engine.info.version}`
  }

  /** Holds at once. */
  pace(share: number): void {
    this.#share = share
    if (this.#engine?.alive) this.#engine.pace(this.#holds > 0 ? Math.min(share, HELD_PACE) : share)
  }

  /** Lends its engine, started when there is none, for a challenge of the fog node. @param back called when it is given back @throws PinGoError ENGINE_START_FAILED … */
  async lend(back: (wasStarted: boolean) => void): Promise<Loan> {
    const wasStarted = !this.#engine?.alive
    const engine = await this.#start()
    return lendEngine(
      engine,
      (by) => {
        this.#holds += by
        this.pace(this.#share)
      },
      () => back(wasStarted),
    )
  }

  /** Takes the key that came with a lease; the lease's own copy is overwritten. `until`: ms since epoch. */
  grant(lease: { job: string; dataset: FileRef; key?: Uint8Array | undefined }, until: number): void {
    this.endGrant()
    if (!lease.key) return
    this.#grant = { job: lease.job, dataset: lease.dataset.cid, key: Uint8Array.from(lease.key), until }
    lease.key.fill(0)
  }

  /** The lease is over, and with it the right to its key. */
  endGrant(): void {
    this.#grant?.key.fill(0)
    this.#grant = undefined
  }

  /** Forgets a job that is over: its key, and all that is open of it. */
  async forget(job: string): Promise<void> {
    if (this.#grant?.job === job) this.endGrant()
    if (this.#open?.job === job) await this.clear()
  }

  /** Fetches what is missing and opens it. @throws PinGoError GRAPH_REFUSED, FETCH_FAILED, FILE_…, ENGINE_… */
  async prepare(lease: { job: string; program: FileRef; dataset: FileRef }, signal: AbortSignal): Promise<Prepared> {
    const key = `${lease.job} ${lease.program.cid} ${lease.dataset.cid}`
    if (this.#open?.key === key && this.#engine?.alive) return this.#open.prepared
    await this.#closeProgram()
    const starting = this.#start()
    // when a fetch fails first, its own failure is nobody's to say
    starting.catch(() => undefined)
    const readFile = (file: FileRef, cancel?: AbortSignal) => this.#files.read(file, cancel ?? signal)
    const unseal = (sealed: Uint8Array) => openSealedFileWeb(this.#keyFor(lease), sealed)
    const [programBytes, { manifest, read }] = await Promise.all([
      this.#files.read(lease.program, signal),
      readDatasetManifest(lease.dataset, readFile, unseal, signal),
    ])
    const program = decode(ProgramManifestSchema, programBytes, MAX_MANIFEST_BYTES)
    const step = await this.#files.read(program.step, signal)
    const engine = await starting
    const trainer = await engine.openTrainer({ ...program, step })
    const data = openDataset(manifest, read, { cacheBytes: DATA_SHARE * this.#memoryBytes })
    const prepared = { program, trainer, data }
    this.#open = { job: lease.job, key, prepared }
    return prepared
  }

  /** Lets everything go, the engine's worker too. */
  async clear(): Promise<void> {
    const engine = this.#engine
    this.#open?.prepared.data.close()
    this.#open = undefined
    this.#engine = undefined
    await engine?.close()
  }

  /** The engine, known as soon as it is there, so that whatever fails meanwhile does not leave it behind. */
  #start(): Promise<BrowserEngine> {
    if (this.#engine?.alive) return Promise.resolve(this.#engine)
    this.#starting ??= this.#startEngine()
      .then((engine) => {
        this.#engine = engine
        this.pace(this.#share)
        return engine
      })
      .finally(() => (this.#starting = undefined))
    return this.#starting
  }

  #keyFor({ job, dataset }: { job: string; dataset: FileRef }): Uint8Array {
    const grant = this.#grant
    if (grant?.job !== job || grant.dataset !== dataset.cid || grant.until <= Date.now())
      throw new PinGoError(
        'GRANT_MISSING',
        `The key of ${dataset.cid} was not given for job ${job}, or its time is over.`,
      )
    return grant.key
  }

  async #closeProgram(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    open?.prepared.data.close()
    await open?.prepared.trainer.close().catch(() => this.clear())
  }
}
