import { MAX_CLASSES } from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import { numberName } from '../classes.ts'
import { MAX_CATEGORIES } from '../limits.ts'
import { isMissingNumber, parseBoolean, parseNumber } from './numbers.ts'
import type { Cell, Table } from './table.ts'

/** What the cells of one column are like. */
export interface ColumnProfile {
  name: string
  /** Cells by what they hold; `missing` are empty cells and nulls, `absent` words for "no number" such as NA. */
  numbers: number
  booleans: number
  texts: number
  missing: number
  absent: number
  vectors: number
  /** Length of the vectors, -1 when they differ. */
  vectorLength: number
  integers: boolean
  min: number
  max: number
  /** True when the values count up by one from 0 or 1: row numbers, as tables are saved with. */
  counts: boolean
  /** The different cells until there are more than `capacity`: as they are written, numbers of a target by their value. */
  distinct: Set<string>
  capacity: number
  isTarget: boolean
}

/** Reads the whole table once. `targets` are columns of which all different values are wanted. */
export async function profile(
  table: Table,
  wanted: readonly number[],
  targets: ReadonlySet<number>,
  signal?: AbortSignal,
): Promise<{ rows: number; columns: Map<number, ColumnProfile> }> {
  const columns = new Map(wanted.map((i) => [i, emptyProfile(table.columns[i]!, targets.has(i))]))
  const profiles = [...columns]
  const before: Cell[] = new Array(table.columns.length).fill(undefined)
  let rows = 0
  for await (const batch of table.read(wanted, signal)) {
    throwIfAborted(signal)
    for (const [index, column] of profiles) {
      for (let r = 0; r < batch.rows.length; r++) {
        const cell = batch.rows[r]![index]!
        look(column, cell, cell === before[index], table.decimalComma, rows + r)
        before[index] = cell
      }
    }
    rows += batch.rows.length
  }
  return { rows, columns }
}

function emptyProfile(name: string, isTarget: boolean): ColumnProfile {
  return {
    name,
    numbers: 0,
    booleans: 0,
    texts: 0,
    missing: 0,
    absent: 0,
    vectors: 0,
    vectorLength: 0,
    integers: true,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    counts: true,
    distinct: new Set(),
    capacity: isTarget ? MAX_CLASSES : MAX_CATEGORIES,
    isTarget,
  }
}

function look(column: ColumnProfile, cell: Cell, repeated: boolean, decimalComma: boolean, row: number): void {
  let number = Number.NaN
  if (typeof cell === 'string') {
    number = parseNumber(cell, decimalComma)
    if (Number.isNaN(number)) {
      if (cell.trim() === '') column.missing++
      else if (isMissingNumber(cell)) column.absent++
      else if (!Number.isNaN(parseBoolean(cell))) column.booleans++
      else column.texts++
    }
  } else if (typeof cell === 'number') {
    if (Number.isNaN(cell)) column.missing++
    else if (Number.isFinite(cell)) number = cell
    else column.texts++
  } else if (typeof cell === 'boolean') column.booleans++
  else if (cell === null) column.missing++
  else {
    column.vectorLength = column.vectors === 0 || column.vectorLength === cell.length ? cell.length : -1
    column.vectors++
    return
  }
  if (!Number.isNaN(number)) {
    column.numbers++
    if (number < column.min) column.min = number
    if (number > column.max) column.max = number
    if (column.integers && !Number.isInteger(number)) column.integers = false
    if (column.counts && number !== row && number !== row + 1) column.counts = false
  }
  if (repeated || column.distinct.size > column.capacity) return
  column.distinct.add(column.isTarget && !Number.isNaN(number) ? numberName(number) : cellText(cell))
}

/** A cell as the name of a category or class: without spaces around it, and not holding on to the text it was cut from. */
export function cellText(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell !== 'string') return typeof cell === 'number' && Number.isNaN(cell) ? '' : String(cell)
  const text = cell.trim()
  // Cut-out strings of 13 characters and more keep the whole piece of the file alive in V8: copy them.
  return text.length < 13 ? text : Buffer.from(text, 'utf16le').toString('utf16le')
}
