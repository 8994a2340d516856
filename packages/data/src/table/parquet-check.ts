import { PinGoError } from '@pingo/wire'
import type { Compressors, FileMetaData, RowGroup } from 'hyparquet'
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
 * than the file's own metadata promise. The result answers the reads of hyparquet.
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
    const start = Number(meta.dictionary_page_offset ?? 0) || Number(meta.data_page_offset)
    const bytes = await file.readExactly(
      Math.min(start, Number(meta.data_page_offset)),
      Number(meta.total_compressed_size),
    )
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
    let values = 0
    let unpacked = 0
    while (reader.offset < bytes.length - 1 && values < Number(meta.num_values)) {
      const header = parquetHeader(reader)
      const size = header.uncompressed_page_size
      const dictionary = header.dictionary_page_header?.num_values ?? 0
      const page = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_values ?? 0
      values += page
      unpacked += size
      const fits =
        header.compressed_page_size >= 0 &&
        reader.offset + header.compressed_page_size <= bytes.length &&
        size >= 0 &&
        size <= MAX_PAGE_BYTES &&
        unpacked <= Number(meta.total_uncompressed_size) + bytes.length &&
        page >= 0 &&
        dictionary >= 0 &&
        dictionary <= Math.max(size, Number(meta.num_values)) &&
        values <= Number(meta.num_values)
      if (!fits) throw malformed(file.path, `a page of column '${name}' says another size than the file's metadata`)
      reader.offset += header.compressed_page_size
    }
    if (values < Number(meta.num_values)) throw malformed(file.path, `column '${name}' is cut off`)
    chunks.push({ start: Math.min(start, Number(meta.data_page_offset)), bytes })
  }
  return chunks
}

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
