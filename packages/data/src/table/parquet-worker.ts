// Loads little, because each import of a Parquet file starts it: of @pingo/wire the errors alone.
import { parentPort, workerData } from 'node:worker_threads'
import { PinGoError } from '@pingo/wire/errors'
import type { ImportLimits } from '../limits.ts'
import { ParquetDecoder, type ParquetOutline, type ParquetValues } from './parquet-decoder.ts'

/** What the worker is started with. */
export interface ParquetWorkerData {
  path: string
  limits: ImportLimits
}

/** Asks for a column of a row group; nothing in it asks for the outline of the file. */
export type ParquetRequest = { group: number; name: string } | Record<string, never>

export type ParquetReply =
  | { outline: ParquetOutline }
  | { values: ParquetValues }
  | { error: { code: string; message: string; hint?: string } }

const { path, limits } = workerData as ParquetWorkerData
let decoder: Promise<ParquetDecoder> | undefined

parentPort?.on('message', async (request: ParquetRequest) => {
  let reply: ParquetReply
  try {
    decoder ??= ParquetDecoder.open(path, limits)
    const opened = await decoder
    reply =
      'group' in request ? { values: await opened.column(request.group!, request.name!) } : { outline: opened.outline }
  } catch (error) {
    const known =
      error instanceof PinGoError
        ? error
        : new PinGoError('DATA_PARQUET', `'${path}' cannot be read: ${String(error)}.`)
    reply = { error: known.toJSON() }
  }
  const numbers = 'values' in reply && reply.values instanceof Float64Array ? [reply.values.buffer as ArrayBuffer] : []
  parentPort!.postMessage(reply, numbers)
})
