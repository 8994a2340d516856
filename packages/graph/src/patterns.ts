import { PinGoError } from '@pingo/wire'

/** Whether a name is the pattern: `*` stands for any characters (none too), `?` for one. At most |name| * |pattern| steps. */
export function matches(pattern: string, name: string): boolean {
  let [p, n, star, from] = [0, 0, -1, 0]
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++
      from = n
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++
      n++
    } else if (star >= 0) {
      // The last star takes one more character.
      p = star + 1
      n = ++from
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

export const matchesAny = (patterns: readonly string[] = [], name: string): boolean =>
  patterns.some((pattern) => matches(pattern, name))

/**
 * Makes sure that every pattern means something.
 * @throws PinGoError GRAPH_PATTERN_UNKNOWN
 */
export function checkPatterns(what: string, patterns: readonly string[], names: readonly string[]): void {
  for (const pattern of patterns)
    if (!names.some((name) => matches(pattern, name)))
      throw new PinGoError('GRAPH_PATTERN_UNKNOWN', `No weight of the model is named like '${pattern}' (${what}).`, {
        hint: `Its weights: ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}. \`pingo graph check\` lists all.`,
      })
}
