import { PinGoError } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { readText } from '../text/utf8.ts'
import { CsvParser } from './csv-parser.ts'
import { looksLikeHeader, sniffCsv } from './csv-sniff.ts'
import { autoName, type Table } from './table.ts'

const SNIFF_CHARS = 1 << 20

export interface CsvOptions {
  delimiter?: string | undefined
  header?: boolean | undefined
  /** Names of columns that a header would hold, when they are known. */
  known?: ReadonlySet<string>
  limits: ImportLimits
}

/** Opens a CSV file: finds out how it is written and what its columns are called. */
export async function openCsv(path: string, options: CsvOptions): Promise<Table> {
  const { limits } = options
  if (options.delimiter !== undefined && (options.delimiter.length !== 1 || /["\r\n]/.test(options.delimiter)))
    throw new PinGoError('DATA_OPTION', 'The delimiter must be one character, and no quote or line end.')
  const { start, whole, totalBytes } = await SourceFile.with(path, limits, async (file) => {
    for await (const { text, bytesRead } of readText(file))
      return { start: text.slice(0, SNIFF_CHARS), whole: bytesRead === file.bytes, totalBytes: file.bytes }
    return { start: '', whole: true, totalBytes: file.bytes }
  })
  const sample = sniffCsv(path, start, whole, limits, options.delimiter)
  const first = sample.rows[0]
  if (!first) {
    // A row longer than the sample, or a fault in it: the parser names it.
    new CsvParser(path, sample.dialect, limits).push(start, whole)
    throw new PinGoError('DATA_EMPTY', `'${path}' holds no row.`, { hint: 'Give a file that holds data.' })
  }
  const named = options.header ?? looksLikeHeader(sample, options.known)
  const columns = named ? uniqueNames(path, first) : first.map((_, i) => autoName(i))

  return {
    path,
    columns,
    named,
    unit: 'line',
    totalBytes,
    decimalComma: sample.decimalComma,
    async *read(_wanted, signal) {
      const file = await SourceFile.open(path, limits)
      try {
        const parser = new CsvParser(path, sample.dialect, limits)
        let header = named
        const take = (text: string, last: boolean, bytesRead: number) => {
          const { rows, lines } = parser.push(text, last)
          if (header && rows.length > 0) {
            header = false
            rows.shift()
            lines.shift()
          }
          for (let i = 0; i < rows.length; i++)
            if (rows[i]!.length !== columns.length)
              throw new PinGoError(
                'DATA_ROW_RAGGED',
                `'${path}', line ${lines[i]} has ${rows[i]!.length} cells, the table has ${columns.length} columns.`,
                { hint: 'Add or remove cells in this line, or put quotes around a cell that holds the separator.' },
              )
          return { rows, places: lines, bytesRead }
        }
        for await (const { text, bytesRead } of readText(file, signal)) yield take(text, false, bytesRead)
        yield take('', true, file.bytes)
      } finally {
        await file.close()
      }
    },
  }
}

function uniqueNames(path: string, header: readonly string[]): string[] {
  const names = header.map((cell, i) => cell.trim() || autoName(i))
  for (const [i, name] of names.entries()) {
    const earlier = names.indexOf(name)
    if (earlier !== i)
      throw new PinGoError(
        'DATA_COLUMN_TWICE',
        `'${path}': columns ${earlier + 1} and ${i + 1} are both called '${name}'.`,
        {
          hint: 'Give one of them another name.',
        },
      )
  }
  return names
}
