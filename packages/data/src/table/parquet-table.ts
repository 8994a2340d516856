import { PinGoError } from '@pingo/wire'
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet'
import { throwIfAborted } from '../abort.ts'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { boundedCompressors, checkedChunks, checkParquet, parquetMalformed } from './parquet-check.ts'
import type { Cell, Table } from './table.ts'

/** Largest footer read, bytes. */
const MAX_FOOTER_BYTES = 64 << 20
const ROWS_AT_ONCE = 4096

/** Opens a Parquet file: flat columns of numbers, texts and booleans, and lists of numbers. One row group is in memory at a time. */
export async function openParquet(path: string, limits: ImportLimits): Promise<Table> {
  const { metadata, totalBytes } = await SourceFile.with(path, limits, async (file) => ({
    metadata: await readMetadata(file),
    totalBytes: file.bytes,
  }))
  checkParquet(path, metadata, limits)
  const tree = parquetSchema(metadata).children
  const columns = tree.map(({ element }) => element.name)
  if (columns.length > limits.columns)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `'${path}' has ${columns.length} columns, at most ${limits.columns} are read.`,
      {
        hint: 'Write fewer columns, or raise limits.columns.',
      },
    )

  return {
    path,
    columns,
    named: true,
    unit: 'row',
    totalBytes,
    decimalComma: false,
    async *read(wanted, signal) {
      const names = (wanted ? [...new Set(wanted)] : columns.map((_, i) => i)).map((i) => columns[i]!)
      for (const name of names) refuseOther(path, tree.find(({ element }) => element.name === name)!)
      const indices = names.map((name) => columns.indexOf(name))
      const file = await SourceFile.open(path, limits)
      try {
        let first = 0
        for (const group of metadata.row_groups) {
          throwIfAborted(signal)
          const count = Number(group.num_rows)
          const data = await readGroup(file, metadata, first, count, names, group)
          for (let from = 0; from < count; from += ROWS_AT_ONCE) {
            const to = Math.min(count, from + ROWS_AT_ONCE)
            const rows: Cell[][] = []
            const places: number[] = []
            for (let r = from; r < to; r++) {
              const row: Cell[] = new Array(columns.length).fill(null)
              for (let c = 0; c < names.length; c++)
                row[indices[c]!] = cellOf(path, names[c]!, first + r + 1, data[c]![r])
              rows.push(row)
              places.push(first + r + 1)
            }
            yield {
              rows,
              places,
              bytesRead: Math.floor((totalBytes * (first + to)) / Math.max(1, Number(metadata.num_rows))),
            }
          }
          first += count
        }
      } finally {
        await file.close()
      }
    },
  }
}

async function readMetadata(file: SourceFile): Promise<FileMetaData> {
  const tail = await file.read(Math.max(0, file.bytes - 8), 8)
  const end = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  if (tail.length < 8 || end.getUint32(4, true) !== 0x31524150) throw parquetMalformed(file.path, 'its end is missing')
  const footerBytes = end.getUint32(0, true)
  if (footerBytes + 12 > file.bytes || footerBytes > MAX_FOOTER_BYTES)
    throw parquetMalformed(file.path, `its footer says ${footerBytes} bytes`)
  try {
    const metadata = await parquetMetadataAsync(bufferOf(file, []))
    parquetSchema(metadata)
    return metadata
  } catch (cause) {
    throw parquetMalformed(file.path, 'its footer is damaged', cause)
  }
}

/** The values of each column over one row group. */
async function readGroup(
  file: SourceFile,
  metadata: FileMetaData,
  rowStart: number,
  rows: number,
  columns: string[],
  group: FileMetaData['row_groups'][number],
): Promise<ArrayLike<unknown>[]> {
  if (rows === 0) return columns.map(() => [])
  try {
    const chunks = await checkedChunks(file, group, new Set(columns))
    const parts = new Map<string, { rowStart: number; values: ArrayLike<unknown> }[]>(columns.map((name) => [name, []]))
    await parquetRead({
      file: bufferOf(file, chunks),
      metadata,
      columns,
      rowStart,
      rowEnd: rowStart + rows,
      compressors: boundedCompressors(file.path),
      onChunk: ({ columnName, columnData, rowStart }) =>
        parts.get(columnName)?.push({ rowStart, values: columnData as ArrayLike<unknown> }),
    })
    return columns.map((name) => {
      const pieces = parts.get(name)!.sort((a, b) => a.rowStart - b.rowStart)
      const count = pieces.reduce((sum, { values }) => sum + values.length, 0)
      if (count !== rows)
        throw parquetMalformed(file.path, `column '${name}' has ${count} values in a row group of ${rows} rows`)
      if (pieces.length === 1) return pieces[0]!.values
      return pieces.flatMap(({ values }) => Array.from(values))
    })
  } catch (cause) {
    if (cause instanceof PinGoError) throw cause
    throw parquetMalformed(file.path, `it cannot be unpacked (${(cause as Error).message})`, cause)
  }
}

/** A file as hyparquet reads it, from the chunks in memory where they hold what is asked for. */
function bufferOf(file: SourceFile, chunks: readonly { start: number; bytes: Uint8Array }[]): AsyncBuffer {
  return {
    byteLength: file.bytes,
    async slice(start, end = file.bytes) {
      const chunk = chunks.find((c) => c.start <= start && end <= c.start + c.bytes.length)
      const bytes = chunk
        ? chunk.bytes.slice(start - chunk.start, end - chunk.start)
        : await file.readExactly(start, end - start)
      return bytes.buffer as ArrayBuffer
    },
  }
}

/** Columns that are neither numbers, texts nor lists of numbers are named, not bent. */
function refuseOther(path: string, { element, children }: SchemaTree): void {
  const list =
    element.converted_type === 'LIST' || element.logical_type?.type === 'LIST' || element.repetition_type === 'REPEATED'
  const kind = element.logical_type?.type ?? element.converted_type
  const odd =
    (children.length > 0 && !list) ||
    element.type === 'INT96' ||
    (kind !== undefined && /^(DATE|TIME|TIMESTAMP|INTERVAL|BSON|JSON|UUID|VARIANT|GEO|MAP)/.test(kind))
  if (!odd) return
  throw new PinGoError(
    'DATA_DTYPE',
    `'${path}', column '${element.name}' holds ${kind ?? element.type ?? 'records'}, which is neither a number nor a text.`,
    {
      hint: 'Leave the column out by features, or turn it into numbers.',
    },
  )
}

function cellOf(path: string, column: string, row: number, value: unknown): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof Uint8Array)))
    return Array.from(value as ArrayLike<unknown>, (member) =>
      typeof member === 'bigint' ? Number(member) : typeof member === 'number' ? member : Number.NaN,
    )
  throw new PinGoError('DATA_DTYPE', `'${path}', row ${row}, column '${column}' is neither a number nor a text.`, {
    hint: 'Leave the column out by features, or turn it into numbers.',
  })
}
