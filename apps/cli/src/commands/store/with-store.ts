import type { Store, StoreProgress } from '@pingo/client/store'
import { InvalidArgumentError } from 'commander'
import type { ClientOptions } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { bytes } from '../../format.ts'
import { Output } from '../../output.ts'
import { ProgressView } from '../../view/progress.ts'

/** Runs `work` with the store of this machine's owner; what was changed is backed up before it is closed. */
export async function withStore<T>(
  options: ClientOptions,
  o: { changes?: boolean; signal: AbortSignal },
  work: (store: Store, output: Output) => Promise<T>,
): Promise<T> {
  const { openStore } = await import('@pingo/client/store')
  const output = new Output(options)
  const store = await openStore({ url: options.fog, token: options.token })
  try {
    try {
      return await work(store, output)
    } finally {
      // also when it was broken off or some of it failed: what was done is done
      if (o.changes && !store.isSettled) await settle(store, output, o.signal)
    }
  } finally {
    await store.close()
  }
}

/** A backup is not worth much waiting: the next command tries again. */
const SETTLE_MS = 60_000

async function settle(store: Store, output: Output, signal: AbortSignal): Promise<void> {
  const soon = AbortSignal.timeout(SETTLE_MS)
  // Ctrl-C during the work ended the work; the backup is then still made
  const note = await store
    .settle({ signal: soon })
    .catch((error: Error) => `The index is not backed up yet: ${error.message}`)
  if (note !== undefined && !signal.aborted) output.note(`Note: ${note}`)
}

/** Shows how far a put or a get is. */
export class TransferView {
  readonly #view: ProgressView
  readonly #stage: 'store' | 'fetch'

  constructor(output: Output, stage: 'store' | 'fetch') {
    this.#view = new ProgressView(output)
    this.#stage = stage
  }

  show({ path, bytes: done, totalBytes, files, totalFiles, waitingFor }: StoreProgress): void {
    const verb = this.#stage === 'store' ? 'Storing' : 'Fetching'
    const which = totalFiles > 1 ? ` (${Math.min(files + 1, totalFiles)} of ${totalFiles})` : ''
    const size = totalBytes === undefined ? bytes(done) : `${bytes(done)} of ${bytes(totalBytes)}`
    const message = waitingFor ? `${verb} ${path}: ${waitingFor}` : `${verb} ${path}${which}  ${size}`
    this.#view.show({ stage: this.#stage, message, done, total: totalBytes })
  }

  end(): void {
    this.#view.end()
  }
}

/** For commander: a duration as 30m, 12h, 7d. */
export const durationFrom = (parse: (text: string) => number | undefined) => (text: string) => {
  const ms = parse(text)
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError('It must be a time such as 30m, 12h or 7d.')
  return ms
}

/** For commander: `a-b` (both ends included, as in HTTP), `a-` to the end, `-n` the last n bytes. */
export function rangeFrom(text: string): { start?: number; end?: number } {
  const [, first, last] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? []
  if (first === undefined || (first === '' && last === '') || (first && last && Number(first) > Number(last)))
    throw new InvalidArgumentError('It must be bytes such as 0-99, 100- or -50.')
  if (first === '') return { start: -Number(last) }
  return { start: Number(first), ...(last ? { end: Number(last) + 1 } : {}) }
}

/** What could not be done, one line each; then the command ends with 1. */
export function tellFailures(output: Output, failed: { path: string; why: string }[], what: string): void {
  if (failed.length === 0) return
  const SHOWN = 20
  for (const { path, why } of failed.slice(0, SHOWN)) output.note(`${what} ${path}: ${why}`)
  if (failed.length > SHOWN) output.note(`… and ${failed.length - SHOWN} more (--json has them all)`)
  throw new Exit(EXIT.failed)
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`
