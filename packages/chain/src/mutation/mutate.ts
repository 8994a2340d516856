/** One small wrong change of a source: what a good test must notice. */
export interface Mutant {
  /** File below `contracts/`. */
  file: string
  /** From 1. */
  line: number
  operator: string
  before: string
  after: string
  /** The whole source with the change. */
  text: string
}

/** How a piece of a source is replaced: what is found (never in comments, imports or declarations) → what stands there instead. */
interface Rule {
  operator: string
  find: RegExp
  /** The replacement, or undefined where the find is not meant. */
  by(found: RegExpExecArray): string | undefined
}

const swap = (operator: string, pairs: Readonly<Record<string, string>>): Rule => ({
  operator,
  // operators stand between blanks: so that neither generics nor arrows are taken for comparisons
  find: new RegExp(
    `(?<=\\s)(?:${Object.keys(pairs)
      .map((key) => key.replace(/[|+*/]/g, '\\$&'))
      .join('|')})(?=\\s)`,
    'g',
  ),
  by: ([found]) => pairs[found],
})

const RULES: readonly Rule[] = [
  swap('arithmetic', { '+': '-', '-': '+', '*': '/', '/': '*', '+=': '-=', '-=': '+=', '>>': '<<', '<<': '>>' }),
  swap('comparison', { '>': '>=', '<': '<=', '>=': '>', '<=': '<', '==': '!=', '!=': '==' }),
  swap('logic', { '&&': '||', '||': '&&' }),
  { operator: 'logic', find: /\b(?:true|false)\b/g, by: ([found]) => (found === 'true' ? 'false' : 'true') },
  { operator: 'min and max', find: /\b(?:min|max)(?=\()/g, by: ([found]) => (found === 'min' ? 'max' : 'min') },
  // small numbers are indices, flags and counts; large ones are amounts of gas and time: a test must notice when they halve.
  // Not `value: 0` of a message that carries the rest: a nano more is no fault, or makes no difference at all
  {
    operator: 'constant',
    find: /(?<![\w.#]|value: )\d+(?![\w.]|, SEND_MODE_CARRY_ALL_BALANCE)/g,
    by: ([found]) => String(Number(found) < 100 ? Number(found) + 1 : Math.floor(Number(found) / 2)),
  },
  {
    operator: 'constant',
    find: /(?<=\bton\(")[\d.]+(?="\))/g,
    by: ([found]) => String(Number(found) / 2),
  },
  { operator: 'dropped assert', find: /^[ \t]*assert \([\s\S]*?\) throw [^;\n}]+;?/gm, by: () => '' },
  { operator: 'dropped check', find: /^[ \t]*[\w.]*\b(?:assert[A-Z]|require|check)\w*\([\s\S]*?\);?$/gm, by: () => '' },
  { operator: 'dropped save', find: /^[ \t]*\w+\.save\(\);?$/gm, by: () => '' },
  { operator: 'dropped reserve', find: /^[ \t]*reserve\w+\([\s\S]*?\);$/gm, by: () => '' },
  { operator: 'dropped assignment', find: /^[ \t]*\w+\.\w+ (?:[-+]?=) [^;{}]+;$/gm, by: () => '' },
  { operator: 'send mode', find: /\bSEND_MODE_CARRY_ALL_\w+/g, by: () => 'SEND_MODE_REGULAR' },
  { operator: 'send mode', find: /\bSEND_MODE_PAY_FEES_SEPARATELY\b/g, by: () => 'SEND_MODE_REGULAR' },
  { operator: 'send mode', find: / \| (?:SEND|RESERVE)_MODE_(?:BOUNCE_ON_ACTION_FAIL|IGNORE_ERRORS)\b/g, by: () => '' },
  {
    operator: 'bounce mode',
    find: /\bBounceMode\.(NoBounce|Only256BitsOfBody)\b/g,
    by: ([, mode]) => `BounceMode.${mode === 'NoBounce' ? 'Only256BitsOfBody' : 'NoBounce'}`,
  },
]

/** All mutants of a source, in the order of the text: the same text gives the same mutants. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const masked = mask(text)
  const found: (Mutant & { at: number })[] = []
  for (const { operator, find, by } of RULES) {
    // amounts of `ton("…")` are in quotes, which are masked elsewhere
    const source = find.source.includes('ton\\(') ? text : masked
    for (const match of source.matchAll(find)) {
      const after = by(match as RegExpExecArray)
      if (after === undefined) continue
      const before = text.slice(match.index, match.index + match[0].length)
      found.push({
        file,
        line: text.slice(0, match.index + (before.length - before.trimStart().length)).split('\n').length,
        operator,
        before: before.trim(),
        after: after.trim(),
        text: text.slice(0, match.index) + after + text.slice(match.index + match[0].length),
        at: match.index,
      })
    }
  }
  return found.sort((a, b) => a.at - b.at).map(({ at: _, ...mutant }) => mutant)
}

/** The text with blanks for what is never mutated: comments, strings, imports, declarations of types. Lengths stay. */
function mask(text: string): string {
  const blank = (part: string) => part.replace(/[^\n]/g, ' ')
  return text
    .replace(/\/\/[^\n]*/g, blank)
    .replace(/"[^"\n]*"/g, blank)
    .replace(/^(?:import|type) [^\n]*/gm, blank)
    .replace(/^struct [\s\S]*?^\}/gm, blank)
}
