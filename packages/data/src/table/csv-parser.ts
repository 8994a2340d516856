import { PinGoError } from '@pingo/wire'

export interface CsvDialect {
  delimiter: string
  /** '\n' (also ends '\r\n'), or '\r' for files of old. */
  newline: '\n' | '\r'
}

/** Longest row that is read, characters: a quote that is never closed is found by it. */
const MAX_ROW_CHARS = 64 << 20

/**
 * Cuts text into rows of cells as it comes (RFC 4180: quotes around a cell, doubled inside). Blank lines are left out.
 * Rows without a quote, the most by far, are cut by the engine's own split.
 */
export class CsvParser {
  readonly #path: string
  readonly #dialect: CsvDialect
  readonly #maxCellChars: number
  readonly #maxCells: number
  #rest = ''
  #line = 1

  constructor(path: string, dialect: CsvDialect, limits: { cellChars: number; columns: number }) {
    this.#path = path
    this.#dialect = dialect
    this.#maxCellChars = limits.cellChars
    this.#maxCells = limits.columns
  }

  /**
   * The rows that are complete with this piece of text, each with the line on which it begins.
   * @param last true when the text ends here
   * @throws PinGoError DATA_CSV_QUOTE, DATA_TOO_LARGE
   */
  push(piece: string, last: boolean): { rows: string[][]; lines: number[] } {
    const { newline, delimiter } = this.#dialect
    const text = this.#rest + piece
    const rows: string[][] = []
    const lines: number[] = []
    let at = 0
    let quote = text.indexOf('"')
    while (at < text.length) {
      const end = text.indexOf(newline, at)
      if (quote !== -1 && quote < at) quote = text.indexOf('"', at)
      const line = this.#line
      let row: string[]
      if (quote === -1 || (end !== -1 && end < quote)) {
        if (end === -1 && !last) break
        const stop = end === -1 ? text.length : end
        const content = text.slice(at, newline === '\n' && text[stop - 1] === '\r' && stop > at ? stop - 1 : stop)
        if (content.length > this.#maxCellChars) this.#checkCells(content.split(delimiter, this.#maxCells + 1))
        row = content === '' ? [] : content.split(delimiter, this.#maxCells + 1)
        at = stop + 1
        this.#line++
      } else {
        const quoted = this.#quotedRow(text, at, last)
        if (!quoted) break
        row = quoted.row
        at = quoted.at
      }
      if (row.length === 0) continue
      if (row.length > this.#maxCells)
        throw new PinGoError('DATA_TOO_LARGE', `'${this.#path}', line ${line} has more than ${this.#maxCells} cells.`, {
          hint: 'Raise limits.columns, or check that the file is a table.',
        })
      rows.push(row)
      lines.push(line)
    }
    this.#rest = text.slice(at)
    if (this.#rest.length > MAX_ROW_CHARS)
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${this.#path}', line ${this.#line}: the row is longer than ${MAX_ROW_CHARS} characters.`,
        {
          hint: 'Check for a quote that is not closed.',
        },
      )
    return { rows, lines }
  }

  /** One row with quotes in it; undefined when its end has not come yet. */
  #quotedRow(text: string, start: number, last: boolean): { row: string[]; at: number } | undefined {
    const { newline, delimiter } = this.#dialect
    const row: string[] = []
    let at = start
    let lines = 0
    for (;;) {
      let cell: string
      if (text[at] === '"') {
        const closed = closingQuote(text, at + 1)
        if (closed === -1 || (closed === text.length - 1 && !last)) {
          if (!last) return undefined
          throw new PinGoError(
            'DATA_CSV_QUOTE',
            `'${this.#path}', line ${this.#line + lines}: a quote is opened and never closed.`,
            {
              hint: 'Close it, or double a quote that belongs to the text.',
            },
          )
        }
        cell = text.slice(at + 1, closed)
        lines += count(cell, newline)
        cell = cell.replaceAll('""', '"')
        at = closed + 1
        while (text[at] === ' ') at++
        if (text[at] === '\r' && newline === '\n') at++
        if (at >= text.length && !last) return undefined
        if (at < text.length && text[at] !== newline && !text.startsWith(delimiter, at))
          throw new PinGoError(
            'DATA_CSV_QUOTE',
            `'${this.#path}', line ${this.#line + lines}: there is text after a closing quote.`,
            {
              hint: 'Put a separator after it, or double a quote that belongs to the text.',
            },
          )
      } else {
        const comma = text.indexOf(delimiter, at)
        const end = text.indexOf(newline, at)
        const stop = comma !== -1 && (end === -1 || comma < end) ? comma : end
        if (stop === -1 && !last) return undefined
        const to = stop === -1 ? text.length : stop
        cell = text.slice(at, to === end && newline === '\n' && text[to - 1] === '\r' && to > at ? to - 1 : to)
        if (to === text.length && newline === '\n' && cell.endsWith('\r')) cell = cell.slice(0, -1)
        at = to
      }
      row.push(cell)
      if (cell.length > this.#maxCellChars || row.length > this.#maxCells) this.#checkCells(row)
      if (at >= text.length || text[at] === newline) break
      at += delimiter.length
    }
    this.#line += lines + 1
    return { row, at: at + 1 }
  }

  #checkCells(row: readonly string[]): void {
    if (row.some((cell) => cell.length > this.#maxCellChars))
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${this.#path}', line ${this.#line}: a cell is longer than ${this.#maxCellChars} characters.`,
        {
          hint: 'Check for a quote that is not closed, or raise limits.cellChars.',
        },
      )
    if (row.length > this.#maxCells)
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${this.#path}', line ${this.#line} has more than ${this.#maxCells} cells.`,
        {
          hint: 'Raise limits.columns, or check that the file is a table.',
        },
      )
  }
}

/** Index of the quote that ends a cell, -1 when there is none yet. A doubled quote does not end it. */
function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 2)) if (text[at + 1] !== '"') return at
  return -1
}

function count(text: string, what: string): number {
  let n = 0
  for (let at = text.indexOf(what); at !== -1; at = text.indexOf(what, at + 1)) n++
  return n
}
