import type { Output } from '../output.ts'

/** Secret words, four in a row, numbered, as they are written down. */
export function sayWords(output: Output, words: readonly string[]): void {
  for (let row = 0; row < words.length; row += 4)
    output.say(
      words
        .slice(row, row + 4)
        .map((word, n) => `${String(row + n + 1).padStart(2)}. ${word.padEnd(10)}`)
        .join('  ')
        .trimEnd(),
    )
}
