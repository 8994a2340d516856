import type { ImportLimits } from '../limits.ts'
import { type CsvDialect, CsvParser } from './csv-parser.ts'
import { isMissingNumber, parseNumber } from './numbers.ts'
import { autoName } from './table.ts'

const DELIMITERS = [',', ';', '\t', '|']
const SNIFF_ROWS = 200
/** A first row with the numbers 0, 1, 2, … up to at least so many is the header that a table without names is saved with. */
const INDEX_HEADER_CELLS = 4
const USUAL_NAMES = new Set([
  'label',
  'labels',
  'target',
  'class',
  'y',
  'id',
  'name',
  'text',
  'file',
  'filename',
  'image',
  'path',
])

export interface CsvSample {
  dialect: CsvDialect
  rows: string[][]
  decimalComma: boolean
}

/**
 * How the first part of a file is written: the separator that cuts the most rows into the same, largest number of cells,
 * the line ends, and whether decimals are written with a comma.
 * @param whole true when `text` is all of the file
 */
export function sniffCsv(
  path: string,
  text: string,
  whole: boolean,
  limits: Pick<ImportLimits, 'cellChars' | 'columns'>,
  delimiter?: string,
): CsvSample {
  const newline = text.includes('\n') || !text.includes('\r') ? '\n' : '\r'
  const tried = (delimiter === undefined ? DELIMITERS : [delimiter]).map((candidate) => {
    const dialect = { delimiter: candidate, newline } as const
    return { dialect, ...sampleRows(path, text, whole, dialect, limits) }
  })
  const best = tried.reduce((a, b) => (score(b.rows) > score(a.rows) ? b : a))
  const fault = tried.find(({ fault }) => fault !== undefined)?.fault
  if (fault !== undefined && (best.rows[0]?.length ?? 0) < 2) throw fault
  return {
    dialect: best.dialect,
    rows: best.rows,
    decimalComma: best.dialect.delimiter !== ',' && hasDecimalComma(best.rows),
  }
}

function sampleRows(
  path: string,
  text: string,
  whole: boolean,
  dialect: CsvDialect,
  limits: Pick<ImportLimits, 'cellChars' | 'columns'>,
): { rows: string[][]; fault?: unknown } {
  try {
    return { rows: new CsvParser(path, dialect, limits).push(text, whole).rows.slice(0, SNIFF_ROWS) }
  } catch (fault) {
    return { rows: [], fault }
  }
}

/** Cells per row, discounted by the rows that have another number of cells. */
function score(rows: readonly string[][]): number {
  const counts = new Map<number, number>()
  for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1)
  const [cells, times] = [...counts].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] > a[0]) ? b : a), [0, 0])
  if (cells < 2) return cells === 1 ? 0.001 : 0
  return (times / rows.length) ** 4 * (1 + Math.log2(cells))
}

function hasDecimalComma(rows: readonly string[][]): boolean {
  const cells = rows.flat()
  return (
    cells.some((cell) => /^\s*[+-]?\d+,\d+\s*$/.test(cell)) && !cells.some((cell) => /^\s*[+-]?\d*\.\d+\s*$/.test(cell))
  )
}

/**
 * Whether the first row names the columns: when a cell of it is text above a column of numbers; in a table of texts, when
 * its cells differ from one another and from all cells below them, or have usual names.
 */
export function looksLikeHeader({ rows, decimalComma }: CsvSample, known?: ReadonlySet<string>): boolean {
  const first = rows[0]?.map((cell) => cell.trim()) ?? []
  const below = rows.slice(1)
  if (known && first.filter((cell) => known.has(cell)).length * 2 >= Math.max(1, Math.min(first.length, known.size)))
    return true
  const isNumber = (cell: string) => !Number.isNaN(parseNumber(cell, decimalComma))
  const numbers = first.filter(isNumber)
  if (numbers.length >= INDEX_HEADER_CELLS && numbers.every((cell, i) => cell === String(i))) {
    // A table that itself counts on, 0 1 2 3, 4 5 6 7, has no header.
    const countsOn =
      numbers.length === first.length && below[0]?.every((cell, i) => cell.trim() === String(first.length + i))
    if (!countsOn) return true
  }
  if (first.every((cell, i) => cell === autoName(i))) return true
  const texts = first.map((cell) => cell !== '' && !isNumber(cell) && !isMissingNumber(cell))
  if (!texts.includes(true)) return false
  if (below.length === 0) return texts.every(Boolean)
  const numberColumn = (i: number): boolean => {
    const cells = below.map((row) => row[i] ?? '')
    return cells.some(isNumber) && cells.every((cell) => isNumber(cell) || isMissingNumber(cell))
  }
  if (texts.some((text, i) => text && numberColumn(i))) return true
  if (!texts.every(Boolean))
    return first.some((cell) => USUAL_NAMES.has(cell.toLowerCase())) && first.every((cell) => !isNumber(cell))
  if (first.some((cell) => USUAL_NAMES.has(cell.toLowerCase()))) return true
  return new Set(first).size === first.length && first.every((cell, i) => below.every((row) => row[i]?.trim() !== cell))
}
