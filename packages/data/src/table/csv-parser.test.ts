import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { type CsvDialect, CsvParser } from './csv-parser.ts'

const limits = { cellChars: 1000, columns: 50 }

function rowsOf(
  text: string,
  dialect: CsvDialect,
  cuts: readonly number[] = [],
): { rows: string[][]; lines: number[] } {
  const parser = new CsvParser('table.csv', dialect, limits)
  const edges = [0, ...[...cuts].sort((a, b) => a - b).map((cut) => Math.min(cut, text.length)), text.length]
  const rows: string[][] = []
  const lines: number[] = []
  for (let i = 1; i < edges.length; i++) {
    const part = parser.push(text.slice(edges[i - 1], edges[i]), i === edges.length - 1)
    rows.push(...part.rows)
    lines.push(...part.lines)
  }
  return { rows, lines }
}

test('reads what csv-parse reads, however the text is cut into pieces', () => {
  const cell = fc.oneof(
    fc.constantFrom('', 'a', '1.5', ' x ', 'é😀'),
    fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r\n', ' ', 'ü'), maxLength: 8 }),
  )
  const table = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 8 })
  const write = (rows: string[][], delimiter: string, end: string) =>
    rows
      .map((row) =>
        row
          .map((c) => (/["\r\n]/.test(c) || c.includes(delimiter) ? `"${c.replaceAll('"', '""')}"` : c))
          .join(delimiter),
      )
      .join(end)
  fc.assert(
    fc.property(
      table,
      fc.constantFrom(',', ';', '\t', '|'),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      fc.array(fc.nat(100), { maxLength: 6 }),
      (rows, delimiter, end, trailing, cuts) => {
        const text = write(rows, delimiter, end) + (trailing ? end : '')
        const expected = parse(text, {
          delimiter,
          record_delimiter: end,
          relax_column_count: true,
          skip_empty_lines: true,
        })
        assert.deepEqual(rowsOf(text, { delimiter, newline: '\n' }, cuts).rows, expected)
      },
    ),
    { numRuns: 1500 },
  )
})

test('knows the line on which each row begins, across quoted line ends and blank lines', () => {
  const { rows, lines } = rowsOf('a,b\n"x\ny",2\n\n3,"4"\r\n5,6', { delimiter: ',', newline: '\n' })
  assert.deepEqual(rows, [
    ['a', 'b'],
    ['x\ny', '2'],
    ['3', '4'],
    ['5', '6'],
  ])
  assert.deepEqual(lines, [1, 2, 5, 6])
})

test('reads lines that end with a lone carriage return', () => {
  assert.deepEqual(rowsOf('a,b\r1,"2"\r', { delimiter: ',', newline: '\r' }).rows, [
    ['a', 'b'],
    ['1', '2'],
  ])
})

test('names the line of a quote that is not closed, of text after a quote, of a giant cell and of too many cells', () => {
  const dialect: CsvDialect = { delimiter: ',', newline: '\n' }
  const fails = (text: string, code: string, words: RegExp) =>
    assert.throws(
      () => rowsOf(text, dialect),
      (e) => isPinGoError(e, code) && words.test((e as Error).message),
    )
  fails('a,b\n1,"2\n3,4\n', 'DATA_CSV_QUOTE', /line 2/)
  fails('a,b\n1,"2"x\n', 'DATA_CSV_QUOTE', /line 2/)
  fails(`a,b\n1,${'x'.repeat(1001)}\n`, 'DATA_TOO_LARGE', /line 2/)
  fails(`a,b\n"1",${'x'.repeat(1001)}\n`, 'DATA_TOO_LARGE', /line 2/)
  fails(`${'1,'.repeat(60)}\n`, 'DATA_TOO_LARGE', /line 1/)
})
