/** Of the names, the one most like `wanted` if it is like it at all: for "did you mean". */
export function nearest(wanted: string, names: readonly string[]): string | undefined {
  const short = wanted.slice(0, 200).toLowerCase()
  let best: string | undefined
  let least = Math.max(2, Math.floor(short.length / 3)) + 1
  for (const name of names.slice(0, 10_000)) {
    const difference = distance(short, name.slice(0, 200).toLowerCase())
    if (difference < least) {
      least = difference
      best = name
    }
  }
  return best
}

/** Insertions, deletions and replacements from one text to the other (Levenshtein; Wagner and Fischer 1974). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]!
}
