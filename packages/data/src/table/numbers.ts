const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const MISSING = new Set(['', '?', 'na', 'n/a', '#n/a', '<na>', 'nan', '-nan', 'null', 'none', 'nil'])
/** Digits that a double holds exactly. */
const EXACT_DIGITS = 15

/**
 * A decimal number written in a cell, or NaN when it is something else (also for infinities, hexadecimal and digit
 * groups). Spaces around it do not matter.
 */
export function parseNumber(cell: string, decimalComma = false): number {
  const length = cell.length
  if (length > 0 && length <= EXACT_DIGITS) {
    let value = 0
    let i = 0
    for (; i < length; i++) {
      const digit = cell.charCodeAt(i) - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (i === length) return value
  }
  const text = decimalComma ? cell.trim().replace(',', '.') : cell.trim()
  if (!NUMBER.test(text)) return Number.NaN
  const value = Number(text)
  return Number.isFinite(value) ? value : Number.NaN
}

/** True for an empty cell and for the usual ways to write that there is no number (NA, NaN, null, ?). */
export function isMissingNumber(cell: string): boolean {
  return cell.length <= 6 && MISSING.has(cell.trim().toLowerCase())
}

/** 0 or 1 for the words false and true, else NaN. */
export function parseBoolean(cell: string): number {
  const word = cell.trim().toLowerCase()
  return word === 'true' ? 1 : word === 'false' ? 0 : Number.NaN
}
