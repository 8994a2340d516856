import { PinGoError } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { readText } from './utf8.ts'

const CODE_POINTS = 0x110000

/** Reads a text once: how many characters (code points) it has, and which, sorted by code point. */
export async function vocabularyOf(
  path: string,
  limits: ImportLimits,
  signal?: AbortSignal,
): Promise<{ tokens: number; characters: string[]; totalBytes: number }> {
  const seen = new Uint8Array(CODE_POINTS)
  let tokens = 0
  const totalBytes = await SourceFile.with(path, limits, async (file) => {
    for await (const { text } of readText(file, signal)) {
      for (let i = 0; i < text.length; i++) {
        const code = text.codePointAt(i)!
        if (code > 0xffff) i++
        seen[code] = 1
        tokens++
      }
    }
    return file.bytes
  })
  const characters: string[] = []
  for (let code = 0; code < CODE_POINTS; code++) if (seen[code]) characters.push(String.fromCodePoint(code))
  return { tokens, characters, totalBytes }
}

/** Characters as token ids: their places in a vocabulary. */
export class CharacterIds {
  readonly #ids = new Int32Array(CODE_POINTS).fill(-1)

  constructor(vocabulary: readonly string[]) {
    for (const [id, character] of vocabulary.entries()) this.#ids[character.codePointAt(0)!] = id
  }

  /**
   * @param position of the first character in its text, for the error
   * @throws PinGoError DATA_UNKNOWN_CHARACTER
   */
  encode(text: string, path: string, position = 0): Int32Array {
    const out = new Int32Array(text.length)
    let length = 0
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i)!
      if (code > 0xffff) i++
      const id = this.#ids[code]!
      if (id < 0)
        throw new PinGoError(
          'DATA_UNKNOWN_CHARACTER',
          `'${path}', character ${position + length + 1} is ${JSON.stringify(String.fromCodePoint(code))} (U+${code.toString(16).toUpperCase().padStart(4, '0')}), which the vocabulary of the dataset lacks.`,
          { hint: 'Remove it from the text, or import the training text together with this one.' },
        )
      out[length++] = id
    }
    return out.subarray(0, length)
  }
}
