import { PinGoError } from '@pingo/wire/errors'
import type { Compressors, FileMetaData, PageHeader, RowGroup } from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { compressors } from 'hyparquet-compressors'
import type { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'

/** Largest page, uncompressed; writers make pages of about 1 MiB. */
const MAX_PAGE_BYTES = 256 << 20

const malformed = (path: string, why: string, cause?: unknown) =>
  new PinGoError('DATA_PARQUET', `'${path}' is not a whole Parquet file: ${why}.`, {
    hint: 'Download or export it again.',
    cause,
  })

export { malformed as parquetMalformed }

/** Refuses what a file declares of itself before anything is allocated for it. */
export function checkParquet(path: string, metadata: FileMetaData, limits: ImportLimits): void {
  let rows = 0
  for (const [g, group] of metadata.row_groups.entries()) {
    const bytes = group.columns.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0)
    if (!(bytes <= limits.groupBytes))
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${path}', row group ${g} takes ${bytes} bytes uncompressed, at most ${limits.groupBytes} are read at once.`,
        {
          hint: 'Write it with smaller row groups, or raise limits.groupBytes.',
        },
      )
    const groupRows = Number(group.num_rows)
    if (!(groupRows >= 0)) throw malformed(path, `row group ${g} has ${groupRows} rows`)
    rows += groupRows
  }
  if (rows !== Number(metadata.num_rows))
    throw malformed(path, `it says ${metadata.num_rows} rows, its row groups have ${rows}`)
  if (rows > limits.samples)
    throw new PinGoError('DATA_TOO_LARGE', `'${path}' has ${rows} rows, at most ${limits.samples} are read.`, {
      hint: 'Split it, or raise limits.samples.',
    })
}

/**
 * Reads the column chunks of a row group and walks the headers of their pages, so that none unpacks to more values or bytes
 * than the file's own metadata promise, and no length is absent (hyparquet would count from NaN for ever). The result
 * answers the reads of hyparquet.
 */
export async function checkedChunks(
  file: SourceFile,
  group: RowGroup,
  wanted: ReadonlySet<string>,
): Promise<{ start: number; bytes: Uint8Array }[]> {
  const chunks: { start: number; bytes: Uint8Array }[] = []
  for (const { meta_data: meta } of group.columns) {
    if (!meta || !wanted.has(meta.path_in_schema[0]!)) continue
    const name = meta.path_in_schema.join('.')
    const first = Number(meta.data_page_offset)
    const dictionary = Number(meta.dictionary_page_offset ?? 0)
    const start = dictionary > 0 ? Math.min(dictionary, first) : first
    const promised = {
      values: Number(meta.num_values),
      bytes: Number(meta.total_uncompressed_size),
      packed: Number(meta.total_compressed_size),
    }
    if (![start, ...Object.values(promised)].every(isCount))
      throw malformed(file.path, `its footer says nothing sensible of column '${name}'`)
    const bytes = await file.readExactly(start, promised.packed)
    checkPages(file.path, name, bytes, promised)
    chunks.push({ start, bytes })
  }
  return chunks
}

function checkPages(path: string, name: string, bytes: Uint8Array, promised: { values: number; bytes: number }): void {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
  let values = 0
  let unpacked = 0
  while (reader.offset < bytes.length - 1 && values < promised.values) {
    const header = parquetHeader(reader)
    const page = pageOf(header)
    if (!page) throw malformed(path, `a page of column '${name}' has a damaged header`)
    if (header.type !== 'DICTIONARY_PAGE') values += page.values
    unpacked += page.bytes
    const fits =
      reader.offset + page.packed <= bytes.length &&
      page.bytes <= MAX_PAGE_BYTES &&
      unpacked <= promised.bytes + bytes.length &&
      page.values <= promised.values &&
      values <= promised.values
    if (!fits) throw malformed(path, `a page of column '${name}' says another size than the file's footer`)
    reader.offset += page.packed
  }
  if (values < promised.values) throw malformed(path, `column '${name}' is cut off`)
}

/** The sizes that a page's header declares, when all that its type needs are there. */
function pageOf(header: PageHeader): { values: number; bytes: number; packed: number } | undefined {
  const { type, uncompressed_page_size: bytes, compressed_page_size: packed } = header
  const part =
    type === 'DATA_PAGE'
      ? header.data_page_header
      : type === 'DATA_PAGE_V2'
        ? header.data_page_header_v2
        : header.dictionary_page_header
  if (!part || !isCount(part.num_values) || !isCount(bytes) || !isCount(packed)) return undefined
  if (type === 'DATA_PAGE_V2') {
    const v2 = header.data_page_header_v2!
    const levels = [v2.repetition_levels_byte_length, v2.definition_levels_byte_length]
    if (![v2.num_nulls, v2.num_rows, ...levels].every(isCount) || v2.num_nulls > v2.num_values) return undefined
    if (levels[0]! + levels[1]! > Math.min(packed, bytes)) return undefined
  }
  return { values: part.num_values, bytes, packed }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** The decompressors, each refusing an output over the limit before it is allocated. */
export function boundedCompressors(path: string): Compressors {
  return Object.fromEntries(
    Object.entries(compressors).map(([codec, unpack]) => [
      codec,
      (input: Uint8Array, length: number) => {
        if (!(length >= 0 && length <= MAX_PAGE_BYTES)) throw malformed(path, `a page says ${length} bytes`)
        return unpack!(input, length)
      },
    ]),
  )
}
