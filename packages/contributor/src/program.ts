import { type Dataset, openPagedDataset, readDatasetManifest } from '@pingo/data/reading'
import type { Engine, Trainer } from '@pingo/engine'
import { GrantBook, openSealedFile } from '@pingo/storage/fetching'
import { decode, type FileRef, MAX_MANIFEST_BYTES, type ProgramManifest, ProgramManifestSchema } from '@pingo/wire'
import { partsOf } from './data-parts.ts'

/** Files by CID, for one slice. */
export type ReadFile = (ref: FileRef, signal: AbortSignal) => Promise<Uint8Array>

/** Parts of files by CID: fills `into` from `start` on. */
export type ReadPart = (ref: FileRef, start: number, into: Uint8Array, signal: AbortSignal) => Promise<void>

/** What a lease needs open: its program in the engine, its dataset. */
export interface Prepared {
  program: ProgramManifest
  trainer: Trainer
  data: Dataset
}

/**
 * Keeps the program and dataset of the last lease open, so that the next lease of the same job starts at once and the
 * optimiser's moments go on. One at a time: memory is the owner's.
 */
export class Workbench {
  readonly #read: ReadFile
  readonly #readPart: ReadPart
  readonly #startEngine: () => Promise<Engine>
  /** Keys of private data, each until its lease ends. */
  readonly #grants = new GrantBook()
  #engine: Engine | undefined
  #starting: Promise<Engine> | undefined
  #open: { job: string; key: string; prepared: Prepared } | undefined

  constructor(ports: { read: ReadFile; readPart: ReadPart; startEngine: () => Promise<Engine> }) {
    this.#read = ports.read
    this.#readPart = ports.readPart
    this.#startEngine = ports.startEngine
  }

  /** Takes the key that came with a lease; the lease's own copy is overwritten. `until`: ms since epoch. */
  grant(lease: { job: string; dataset: FileRef; key?: Uint8Array | undefined }, until: number): void {
    if (!lease.key) return
    this.#grants.add({ object: lease.dataset.cid, key: lease.key, job: lease.job, until }, Date.now())
    lease.key.fill(0)
  }

  /** Forgets a job that is over: its key, and all that is open of it. */
  async forget(job: string): Promise<void> {
    this.#grants.endJob(job)
    if (this.#open?.job === job) await this.clear()
  }

  /** Fetches what is missing and opens it. @throws PinGoError GRAPH_REFUSED, FETCH_FAILED, ENGINE_* … */
  async prepare(lease: { job: string; program: FileRef; dataset: FileRef }, signal: AbortSignal): Promise<Prepared> {
    const key = `${lease.job} ${lease.program.cid} ${lease.dataset.cid}`
    if (this.#open?.key === key && this.#engine?.alive) return this.#open.prepared
    await this.#closeProgram()
    const starting = this.start()
    // its failure is said below
    starting.catch(() => undefined)
    const readFile = (file: FileRef, cancel?: AbortSignal) => this.#read(file, cancel ?? signal)
    const dataKey = () => this.#grants.key(lease.job, lease.dataset.cid, Date.now())
    const unseal = (sealed: Uint8Array) => openSealedFile(dataKey(), sealed)
    const [programBytes, readable] = await Promise.all([
      this.#read(lease.program, signal),
      readDatasetManifest(lease.dataset, readFile, unseal, signal),
    ])
    const program = decode(ProgramManifestSchema, programBytes, MAX_MANIFEST_BYTES)
    const step = await this.#read(program.step, signal)
    const engine = await starting
    const trainer = await engine.openTrainer({ ...program, step })
    const data = openPagedDataset(readable.manifest, partsOf(readable, this.#readPart, dataKey))
    const prepared = { program, trainer, data }
    this.#open = { job: lease.job, key, prepared }
    return prepared
  }

  /** The engine, started when there is none. @throws PinGoError ENGINE_START_FAILED … */
  start(): Promise<Engine> {
    if (this.#engine?.alive) return Promise.resolve(this.#engine)
    // known at once, so that a failed fetch does not leave it behind
    this.#starting ??= this.#startEngine()
      .then((engine) => (this.#engine = engine))
      .finally(() => (this.#starting = undefined))
    return this.#starting
  }

  /** Lets everything go, the child too: after a failure, or when there has been no work for a while. */
  async clear(): Promise<void> {
    const engine = this.#engine
    this.#open?.prepared.data.close?.()
    this.#open = undefined
    this.#engine = undefined
    await engine?.close()
  }

  /** The engine that is there, if there is one. */
  get engine(): Engine | undefined {
    return this.#engine?.alive ? this.#engine : undefined
  }

  async #closeProgram(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    open?.prepared.data.close?.()
    await open?.prepared.trainer.close().catch(() => this.clear())
  }
}
