import { PinGoError } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { readText } from '../text/utf8.ts'
import { noColumn } from './plan.ts'
import { autoName, type Cell, type Table } from './table.ts'

/** Columns are the keys of so many first rows together. */
const KEY_ROWS = 1000

/** Opens a file of JSON objects (or arrays), one a line. */
export async function openJsonl(path: string, limits: ImportLimits): Promise<Table> {
  const columns: string[] = []
  const known = new Map<string, number>()
  let named = true
  let rows = 0
  const totalBytes = await SourceFile.with(path, limits, async (file) => {
    for await (const { values, lines } of jsonLines(file, limits)) {
      for (const [i, value] of values.entries()) {
        if (rows === 0) named = !Array.isArray(value)
        const keys = named
          ? Object.keys(objectAt(path, value, lines[i]!))
          : rows === 0
            ? (value as unknown[]).map((_, k) => autoName(k))
            : []
        for (const key of keys) {
          if (known.has(key)) continue
          known.set(key, columns.length)
          columns.push(key)
        }
        if (columns.length > limits.columns)
          throw new PinGoError(
            'DATA_TOO_LARGE',
            `'${path}', line ${lines[i]}: there are more than ${limits.columns} columns.`,
            {
              hint: 'Raise limits.columns, or check that all rows have the same keys.',
            },
          )
        if (++rows >= KEY_ROWS) return file.bytes
      }
    }
    return file.bytes
  })
  if (rows === 0 || columns.length === 0)
    throw new PinGoError('DATA_EMPTY', `'${path}' holds no row.`, { hint: 'Give a file that holds data.' })

  const rowOf = (value: unknown, line: number): Cell[] => {
    if (!named) {
      if (!Array.isArray(value) || value.length !== columns.length)
        throw new PinGoError(
          'DATA_ROW_RAGGED',
          `'${path}', line ${line} is not a list of ${columns.length} values as the first line is.`,
          {
            hint: 'Give every line equally many values.',
          },
        )
      return value.map((member, i) => cellOf(path, line, columns[i]!, member))
    }
    const row: Cell[] = new Array(columns.length).fill(null)
    for (const [key, member] of Object.entries(objectAt(path, value, line))) {
      const index = known.get(key)
      if (index === undefined) {
        const error = noColumn(path, key, columns)
        throw new PinGoError(
          'DATA_ROW_RAGGED',
          `'${path}', line ${line} has the key '${key.slice(0, 100)}', which the first ${KEY_ROWS} lines lack.`,
          {
            hint: error.hint ?? '',
          },
        )
      }
      row[index] = cellOf(path, line, key, member)
    }
    return row
  }

  return {
    path,
    columns,
    named,
    unit: 'line',
    totalBytes,
    decimalComma: false,
    async *read(_wanted, signal) {
      const file = await SourceFile.open(path, limits)
      try {
        for await (const { values, lines, bytesRead } of jsonLines(file, limits, signal))
          yield { rows: values.map((value, i) => rowOf(value, lines[i]!)), places: lines, bytesRead }
      } finally {
        await file.close()
      }
    },
  }
}

async function* jsonLines(
  file: SourceFile,
  limits: ImportLimits,
  signal?: AbortSignal,
): AsyncIterable<{ values: unknown[]; lines: number[]; bytesRead: number }> {
  let rest = ''
  let line = 0
  const parse = (text: string, values: unknown[], lines: number[]) => {
    line++
    if (text.trim() === '') return
    try {
      values.push(JSON.parse(text))
      lines.push(line)
    } catch (cause) {
      throw new PinGoError('DATA_JSON', `'${file.path}', line ${line} is not JSON.`, {
        hint: 'Every line must be one JSON object; a file that is one large array must be split into lines.',
        cause,
      })
    }
  }
  for await (const { text, bytesRead } of readText(file, signal)) {
    const pieces = (rest + text).split('\n')
    rest = pieces.pop()!
    if (rest.length > limits.cellChars)
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${file.path}', line ${line + pieces.length + 1} is longer than ${limits.cellChars} characters.`,
        {
          hint: 'Put each row on a line of its own, or raise limits.cellChars.',
        },
      )
    const values: unknown[] = []
    const lines: number[] = []
    for (const piece of pieces) parse(piece, values, lines)
    yield { values, lines, bytesRead }
  }
  const values: unknown[] = []
  const lines: number[] = []
  parse(rest, values, lines)
  yield { values, lines, bytesRead: file.bytes }
}

function objectAt(path: string, value: unknown, line: number): Record<string, unknown> {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>
  throw new PinGoError('DATA_JSON', `'${path}', line ${line} is not a JSON object.`, {
    hint: 'Every line must be one JSON object.',
  })
}

function cellOf(path: string, line: number, column: string, value: unknown): Cell {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (Array.isArray(value) && value.every((member) => typeof member === 'number')) return value
  throw new PinGoError(
    'DATA_NESTED',
    `'${path}', line ${line}, column '${column}' holds ${Array.isArray(value) ? 'a list of other things than numbers' : 'an object'}.`,
    { hint: 'A cell may be a number, a text, true, false, null or a list of numbers: flatten it.' },
  )
}
