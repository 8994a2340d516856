import { type Dataset, openDataset } from '@pingo/data'
import type { Engine, Trainer } from '@pingo/engine'
import {
  type DatasetManifest,
  DatasetManifestSchema,
  decode,
  type FileRef,
  MAX_MANIFEST_BYTES,
  type ProgramManifest,
  ProgramManifestSchema,
} from '@pingo/wire'
import type { Files } from './files.ts'

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
  readonly #files: Files
  readonly #startEngine: () => Promise<Engine>
  #engine: Engine | undefined
  #open: { key: string; prepared: Prepared } | undefined

  constructor(files: Files, startEngine: () => Promise<Engine>) {
    this.#files = files
    this.#startEngine = startEngine
  }

  /** Fetches what is missing and opens it. @throws PinGoError GRAPH_REFUSED, FETCH_FAILED, ENGINE_* … */
  async prepare(lease: { job: string; program: FileRef; dataset: FileRef }, signal: AbortSignal): Promise<Prepared> {
    const key = `${lease.job} ${lease.program.cid} ${lease.dataset.cid}`
    if (this.#open?.key === key && this.#engine?.alive) return this.#open.prepared
    await this.#closeProgram()
    const starting = this.#engine?.alive ? Promise.resolve(this.#engine) : this.#startEngine()
    // known at once, so that a failed fetch does not leave it behind; its own failure is said below
    void starting.then((engine) => (this.#engine = engine)).catch(() => undefined)
    const [programBytes, manifestBytes] = await Promise.all([
      this.#files.read(lease.program, signal),
      this.#files.read(lease.dataset, signal),
    ])
    const program = decode(ProgramManifestSchema, programBytes, MAX_MANIFEST_BYTES)
    const manifest: DatasetManifest = decode(DatasetManifestSchema, manifestBytes, MAX_MANIFEST_BYTES)
    const step = await this.#files.read(program.step, signal)
    const engine = await starting
    const trainer = await engine.openTrainer({ ...program, step })
    const data = openDataset(manifest, (file, cancel) => this.#files.read(file, cancel ?? signal))
    const prepared = { program, trainer, data }
    this.#open = { key, prepared }
    return prepared
  }

  /** Lets everything go, the child too: after a failure, or when there has been no work for a while. */
  async clear(): Promise<void> {
    const engine = this.#engine
    this.#open = undefined
    this.#engine = undefined
    await engine?.close()
  }

  get enginePid(): number | undefined {
    return this.#engine?.alive ? this.#engine.pid : undefined
  }

  async #closeProgram(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    open?.prepared.data.close?.()
    await open?.prepared.trainer.close().catch(() => this.clear())
  }
}
