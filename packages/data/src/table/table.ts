/** What a cell of a table holds: text as it is written (CSV), or a value (JSONL, Parquet); a vector has equal length in all rows. */
export type Cell = string | number | boolean | null | ArrayLike<number>

export interface TableRows {
  rows: Cell[][]
  /** Where each row stands in the file, counted from 1. */
  places: number[]
  bytesRead: number
}

/** A file of named columns that can be read more than once. */
export interface Table {
  path: string
  columns: string[]
  /** False when the file has no header and the columns are called column1, column2, … */
  named: boolean
  /** What `places` count. */
  unit: 'line' | 'row'
  totalBytes: number
  /** Numbers are written 1,5. */
  decimalComma: boolean
  /** All rows, each with a cell for every column. `wanted` are the indices of columns that will be looked at. */
  read(wanted: readonly number[] | undefined, signal?: AbortSignal): AsyncIterable<TableRows>
  close?(): Promise<void>
}

export const autoName = (index: number): string => `column${index + 1}`

export const isAutoName = (name: string): boolean => /^column[1-9]\d*$/.test(name)
