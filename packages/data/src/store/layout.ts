import { bytesOf, type Column, sizeOf } from '@pingo/wire'

/** Where each column lies in the record of a sample. */
export interface Layout {
  fields: { column: Column; offset: number; bytes: number; elements: number }[]
  recordBytes: number
}

export function layoutOf(columns: readonly Column[]): Layout {
  let recordBytes = 0
  const fields = columns.map((column) => {
    const elements = sizeOf(column.shape)
    const bytes = elements * bytesOf(column.dtype)
    recordBytes += bytes
    return { column, offset: recordBytes - bytes, bytes, elements }
  })
  return { fields, recordBytes }
}
