import { type ReactNode, useState } from 'react'
import { NONE, whole } from '../core/format.ts'

export interface Column<Row> {
  key: string
  label: string
  cell: (row: Row) => ReactNode
  numeric?: boolean
  /** The column that names the row. Exactly one has it. */
  heading?: boolean
  /** True where the row has nothing to say: a dash on a desk, left out on a phone. */
  empty?: (row: Row) => boolean
  /** On a phone the cell takes the whole width of its card. */
  wide?: boolean
}

interface Props<Row> {
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  rowKey: (row: Row) => string | number
  /** Rows shown before one asks for more. */
  page?: number
}

// Written out because browsers forget what a table is once its rows are laid out as cards (see tables.css).
const ROLE = {
  table: 'table',
  group: 'rowgroup',
  row: 'row',
  columnHead: 'columnheader',
  rowHead: 'rowheader',
  cell: 'cell',
}
const DEFAULT_PAGE = 25

/** A table on a desk, a list of cards on a phone. */
export function DataTable<Row>({ caption, columns, rows, rowKey, page = DEFAULT_PAGE }: Props<Row>) {
  const [limit, setLimit] = useState(page)
  const shown = rows.slice(0, limit)
  const align = (column: Column<Row>) => (column.numeric ? 'numeric' : undefined)
  return (
    <div className="panel">
      <table className="table" role={ROLE.table}>
        <caption className="visually-hidden">{caption}</caption>
        <thead role={ROLE.group}>
          <tr role={ROLE.row}>
            {columns.map((column) => (
              <th key={column.key} scope="col" role={ROLE.columnHead} className={align(column)}>
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role={ROLE.group}>
          {shown.map((row) => (
            <tr key={rowKey(row)} role={ROLE.row}>
              {columns.map((column) =>
                column.heading ? (
                  <th key={column.key} scope="row" role={ROLE.rowHead} className={align(column)}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td
                    key={column.key}
                    role={ROLE.cell}
                    className={align(column)}
                    data-label={column.label}
                    data-wide={column.wide}
                    data-empty={column.empty?.(row)}
                  >
                    {column.empty?.(row) ? <span className="muted">{NONE}</span> : column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > limit && (
        <button type="button" className="more" onClick={() => setLimit(limit + 4 * page)}>
          Show more <span className="muted">({whole(rows.length - limit)} left)</span>
        </button>
      )}
    </div>
  )
}
