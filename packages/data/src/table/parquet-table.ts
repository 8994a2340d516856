import { Worker } from 'node:worker_threads'
import { PinGoError } from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import type { ImportLimits } from '../limits.ts'
import type { ParquetValues } from './parquet-decoder.ts'
import type { ParquetReply, ParquetRequest, ParquetWorkerData } from './parquet-worker.ts'
import type { Cell, Table } from './table.ts'

const ROWS_AT_ONCE = 4096
/** Memory of the decoder for anything but numbers: as much as a row group may take, within these bounds. */
const MIN_DECODER_HEAP_MB = 64
const MAX_DECODER_HEAP_MB = 1024
/** A decoder that takes longer for one column of one row group is stuck in a damaged file. */
const COLUMN_DEADLINE_MS = 120_000

/** Opens a Parquet file: columns of numbers, texts, booleans and lists of numbers. One row group is in memory at a time. Close it. */
export async function openParquet(path: string, limits: ImportLimits): Promise<Table> {
  const decoder = new RemoteDecoder(path, limits)
  try {
    const { columns, groups, totalBytes } = await decoder.outline()
    const names = columns.map(({ name }) => name)
    if (names.length > limits.columns)
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${path}' has ${names.length} columns, at most ${limits.columns} are read.`,
        {
          hint: 'Write fewer columns, or raise limits.columns.',
        },
      )
    const rows = groups.reduce((sum, n) => sum + n, 0)
    return {
      path,
      columns: names,
      named: true,
      unit: 'row',
      totalBytes,
      decimalComma: false,
      async *read(wanted, signal) {
        const indices = wanted ? [...new Set(wanted)] : names.map((_, i) => i)
        for (const i of indices) refuseOdd(path, columns[i]!)
        let first = 0
        for (const [g, count] of groups.entries()) {
          const data: ParquetValues[] = []
          for (const i of indices) {
            throwIfAborted(signal)
            data.push(count === 0 ? [] : await decoder.column(g, names[i]!, signal))
          }
          for (let from = 0; from < count; from += ROWS_AT_ONCE) {
            const to = Math.min(count, from + ROWS_AT_ONCE)
            const batch: Cell[][] = []
            for (let r = from; r < to; r++) {
              const row: Cell[] = new Array(names.length).fill(null)
              for (let c = 0; c < indices.length; c++)
                row[indices[c]!] = cellOf(path, names[indices[c]!]!, first + r + 1, data[c]![r])
              batch.push(row)
            }
            const places = Array.from(batch, (_, i) => first + from + i + 1)
            yield { rows: batch, places, bytesRead: Math.floor((totalBytes * (first + to)) / rows) }
          }
          first += count
        }
      },
      close: () => decoder.close(),
    }
  } catch (error) {
    await decoder.close()
    throw error
  }
}

/** Columns that are neither numbers, texts nor lists of numbers are named, not bent. */
function refuseOdd(path: string, { name, odd }: { name: string; odd?: string }): void {
  if (odd === undefined) return
  throw new PinGoError(
    'DATA_DTYPE',
    `'${path}', column '${name}' holds ${odd}, which is neither a number nor a text.`,
    {
      hint: 'Leave the column out by features, or turn it into numbers.',
    },
  )
}

function cellOf(path: string, column: string, row: number, value: unknown): Cell {
  if (value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
    return value
  if (Array.isArray(value)) return value as number[]
  throw new PinGoError('DATA_DTYPE', `'${path}', row ${row}, column '${column}' is neither a number nor a text.`, {
    hint: 'Leave the column out by features, or turn it into numbers.',
  })
}

/** A {@link ParquetDecoder} in a worker of bounded memory that is ended when it takes too long. One request at a time. */
class RemoteDecoder {
  readonly #path: string
  readonly #heapMb: number
  readonly #worker: Worker
  #waiting: { resolve(reply: ParquetReply): void; reject(error: PinGoError): void } | undefined
  /** Why the worker is gone. */
  #gone: PinGoError | undefined

  constructor(path: string, limits: ImportLimits) {
    this.#path = path
    this.#heapMb = Math.min(Math.max(MIN_DECODER_HEAP_MB, Math.floor(limits.groupBytes / 2 ** 20)), MAX_DECODER_HEAP_MB)
    const workerData: ParquetWorkerData = { path, limits }
    this.#worker = new Worker(new URL('./parquet-worker.ts', import.meta.url), {
      workerData,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.#heapMb },
    })
    this.#worker.unref()
    this.#worker.on('message', (reply: ParquetReply) => this.#waiting?.resolve(reply))
    const fail = (cause?: unknown) => {
      this.#gone ??= this.#failed(cause)
      this.#waiting?.reject(this.#gone)
    }
    this.#worker.on('error', fail)
    this.#worker.on('exit', () => fail())
  }

  async outline() {
    const reply = await this.#ask({})
    if (!('outline' in reply)) throw this.#failed()
    return reply.outline
  }

  async column(group: number, name: string, signal?: AbortSignal): Promise<ParquetValues> {
    const reply = await this.#ask({ group, name }, signal)
    if (!('values' in reply)) throw this.#failed()
    return reply.values
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  async #ask(request: ParquetRequest, signal?: AbortSignal): Promise<Exclude<ParquetReply, { error: unknown }>> {
    if (this.#gone) throw this.#gone
    const { promise, resolve, reject } = Promise.withResolvers<ParquetReply>()
    this.#waiting = { resolve, reject }
    const timer = setTimeout(() => reject(this.#failed()), COLUMN_DEADLINE_MS)
    const stop = () =>
      reject(new PinGoError('ABORTED', 'The import was stopped before its end.', { cause: signal?.reason }))
    signal?.addEventListener('abort', stop, { once: true })
    this.#worker.ref()
    try {
      this.#worker.postMessage(request)
      const reply = await promise
      if (!('error' in reply)) return reply
      const { code, message, hint } = reply.error
      throw new PinGoError(code, message, hint === undefined ? {} : { hint })
    } finally {
      this.#waiting = undefined
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      this.#worker.unref()
    }
  }

  #failed(cause?: unknown): PinGoError {
    if ((cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY')
      return new PinGoError(
        'DATA_TOO_LARGE',
        `'${this.#path}' takes more than ${this.#heapMb} MB to unpack a column of one row group, or it is damaged.`,
        { hint: 'Write it with smaller row groups, or export it again.', cause },
      )
    return new PinGoError('DATA_PARQUET', `'${this.#path}' cannot be unpacked: it is damaged.`, {
      hint: 'Download or export it again.',
      cause,
    })
  }
}
