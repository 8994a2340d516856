import { PinGoError } from '@pingo/wire'
import type { SourceFile } from '../files.ts'

export interface TextChunk {
  text: string
  bytesRead: number
}

/**
 * A file as text: strict UTF-8, without a byte order mark. A chunk never ends inside a character.
 * @throws PinGoError DATA_NOT_UTF8 naming the first wrong byte
 */
export async function* readText(file: SourceFile, signal?: AbortSignal): AsyncIterable<TextChunk> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytesRead = 0
  /** The last bytes of the chunk before, in which a character may have begun. */
  let before: Uint8Array = new Uint8Array(0)
  for await (const chunk of file.chunks(signal)) {
    let text: string
    try {
      text = decoder.decode(chunk, { stream: true })
    } catch (cause) {
      throw notUtf8(file.path, bytesRead, before, chunk, cause)
    }
    bytesRead += chunk.length
    before = chunk.subarray(Math.max(0, chunk.length - 3))
    yield { text, bytesRead }
  }
  try {
    decoder.decode()
  } catch (cause) {
    throw new PinGoError('DATA_NOT_UTF8', `'${file.path}' ends inside a character: it is cut off or not UTF-8 text.`, {
      hint: 'Save it as UTF-8.',
      cause,
    })
  }
}

function notUtf8(path: string, start: number, before: Uint8Array, chunk: Uint8Array, cause: unknown): PinGoError {
  const bytes = Buffer.concat([before.subarray(firstLead(before)), chunk])
  const broken = (length: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), { stream: true })
      return false
    } catch {
      return true
    }
  }
  let good = 0
  let bad = bytes.length
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1
    if (broken(middle)) bad = middle
    else good = middle
  }
  const position = start - (bytes.length - chunk.length) + bad - 1
  return new PinGoError('DATA_NOT_UTF8', `'${path}' is not UTF-8 text: byte ${position} is wrong.`, {
    hint: 'Save it as UTF-8, or give its format if it is not text.',
    cause,
  })
}

/** Index of the first byte of the last character that may go on after `bytes`. */
function firstLead(bytes: Uint8Array): number {
  for (let i = bytes.length - 1; i >= 0; i--) {
    const byte = bytes[i]!
    if (byte < 0x80) return bytes.length
    if (byte >= 0xc0) return i
  }
  return bytes.length
}
