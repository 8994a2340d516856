import { PinGoError } from '@pingo/wire/errors'
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { boundedCompressors, checkedChunks, checkParquet, parquetMalformed } from './parquet-check.ts'

/** Largest footer read, bytes. */
const MAX_FOOTER_BYTES = 64 << 20

/** What a Parquet file says of itself. */
export interface ParquetOutline {
  columns: {
    name: string /** What it holds when that is neither numbers, texts nor lists of numbers. */
    odd?: string
  }[]
  /** Rows of each row group. */
  groups: number[]
  totalBytes: number
}

/** Values of a column over one row group: numbers (NaN where there is none), or anything a cell can be. */
export type ParquetValues = Float64Array | unknown[]

/** Reads the columns of a Parquet file. Runs in a worker, because a file made on purpose can keep a decoder busy for ever. */
export class ParquetDecoder {
  readonly outline: ParquetOutline
  readonly #file: SourceFile
  readonly #metadata: FileMetaData

  private constructor(file: SourceFile, metadata: FileMetaData, outline: ParquetOutline) {
    this.#file = file
    this.#metadata = metadata
    this.outline = outline
  }

  static async open(path: string, limits: ImportLimits): Promise<ParquetDecoder> {
    const file = await SourceFile.open(path, limits)
    try {
      const { metadata, tree } = await readMetadata(file)
      checkParquet(path, metadata, limits)
      return new ParquetDecoder(file, metadata, {
        columns: tree.map((column) => ({ name: column.element.name, ...oddKind(column) })),
        groups: metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
        totalBytes: file.bytes,
      })
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** @throws PinGoError DATA_PARQUET */
  async column(groupIndex: number, name: string): Promise<ParquetValues> {
    const group = this.#metadata.row_groups[groupIndex]!
    const rows = this.outline.groups[groupIndex]!
    const rowStart = this.outline.groups.slice(0, groupIndex).reduce((sum, n) => sum + n, 0)
    const { path } = this.#file
    try {
      const chunks = await checkedChunks(this.#file, group, new Set([name]))
      const pieces: { rowStart: number; values: ArrayLike<unknown> }[] = []
      await parquetRead({
        file: bufferOf(this.#file, chunks),
        metadata: this.#metadata,
        columns: [name],
        rowStart,
        rowEnd: rowStart + rows,
        compressors: boundedCompressors(path),
        onChunk: (chunk) => pieces.push({ rowStart: chunk.rowStart, values: chunk.columnData as ArrayLike<unknown> }),
      })
      pieces.sort((a, b) => a.rowStart - b.rowStart)
      const count = pieces.reduce((sum, { values }) => sum + values.length, 0)
      if (count !== rows)
        throw parquetMalformed(path, `column '${name}' has ${count} values in a row group of ${rows} rows`)
      return plainValues(
        pieces.map(({ values }) => values),
        rows,
      )
    } catch (cause) {
      if (cause instanceof PinGoError) throw cause
      throw parquetMalformed(
        path,
        `it cannot be unpacked (${cause instanceof Error ? cause.message : String(cause)})`,
        cause,
      )
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

async function readMetadata(file: SourceFile): Promise<{ metadata: FileMetaData; tree: SchemaTree[] }> {
  const tail = await file.read(Math.max(0, file.bytes - 8), 8)
  const end = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  if (tail.length < 8 || end.getUint32(4, true) !== 0x31524150) throw parquetMalformed(file.path, 'its end is missing')
  const footerBytes = end.getUint32(0, true)
  if (footerBytes + 12 > file.bytes || footerBytes > MAX_FOOTER_BYTES)
    throw parquetMalformed(file.path, `its footer says ${footerBytes} bytes`)
  try {
    const metadata = await parquetMetadataAsync(bufferOf(file, []))
    const tree = parquetSchema(metadata).children
    const names = tree.map(({ element }) => element.name)
    if (!names.every((name) => typeof name === 'string' && name !== '') || new Set(names).size !== names.length)
      throw new Error('its columns have no proper names')
    return { metadata, tree }
  } catch (cause) {
    throw parquetMalformed(file.path, 'its footer is damaged', cause)
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

/** What a column holds that cannot be a cell: dates, maps, records … */
function oddKind({ element, children }: SchemaTree): { odd?: string } {
  const kind = element.logical_type?.type ?? element.converted_type
  const list = kind === 'LIST' || element.repetition_type === 'REPEATED'
  const odd =
    (children.length > 0 && !list) ||
    element.type === 'INT96' ||
    (kind !== undefined && /^(DATE|TIME|TIMESTAMP|INTERVAL|BSON|UUID|VARIANT|GEO|MAP)/.test(kind))
  return odd ? { odd: kind ?? element.type ?? 'records' } : {}
}

/** One array of all pieces; of numbers a Float64Array, whole numbers of 64 bits included. */
function plainValues(pieces: readonly ArrayLike<unknown>[], rows: number): ParquetValues {
  const numbers = new Float64Array(rows)
  let at = 0
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) {
      const value = piece[i]
      if (typeof value === 'number') numbers[at++] = value
      else if (typeof value === 'bigint') numbers[at++] = Number(value)
      else if (value === null || value === undefined) numbers[at++] = Number.NaN
      else return pieces.flatMap((values) => Array.from(values, plainCell))
    }
  }
  return numbers
}

function plainCell(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value === undefined) return null
  if (!Array.isArray(value) && (!ArrayBuffer.isView(value) || value instanceof Uint8Array)) return value
  return Array.from(value as ArrayLike<unknown>, (member) =>
    typeof member === 'number' || typeof member === 'bigint' ? Number(member) : Number.NaN,
  )
}
