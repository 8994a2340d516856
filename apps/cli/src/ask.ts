import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { PinGoError } from '@pingo/wire'

/** Asks at the terminal, without showing what is typed; undefined when there is none. */
export async function askHidden(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('SIGINT', () => reject(new DOMException('Interrupted', 'AbortError')))
      lines.once('close', () => reject(new DOMException('Interrupted', 'AbortError')))
    })
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

/** All of standard input as text, `maxBytes` at most. */
export async function readInput(maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    bytes += part.byteLength
    if (bytes > maxBytes) break
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Asks for yes or no at the terminal; undefined when there is none. */
export async function confirm(question: string): Promise<boolean | undefined> {
  if (!process.stdin.isTTY) return undefined
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await new Promise<boolean>((resolve, reject) => {
      lines.question(question, (answer) => resolve(/^y(es)?$/i.test(answer.trim())))
      lines.once('SIGINT', () => reject(new DOMException('Interrupted', 'AbortError')))
      lines.once('close', () => resolve(false))
    })
  } finally {
    lines.close()
  }
}

/** A password: from a file, PINGO_PASSWORD or the terminal. @throws PinGoError PASSWORD_NEEDED */
export async function readPassword(o: { file?: string; question: string; isNew?: boolean }): Promise<string> {
  if (o.file !== undefined) {
    return (await readFile(o.file, 'utf8')).replace(/\r?\n$/, '')
  }
  if (process.env.PINGO_PASSWORD) return process.env.PINGO_PASSWORD
  const password = await askHidden(`${o.question}: `)
  if (password === undefined)
    throw new PinGoError('USAGE_PASSWORD', 'A password is needed, and there is no terminal to ask at.', {
      hint: 'Give it with --password-file FILE or in PINGO_PASSWORD.',
    })
  if (o.isNew && (await askHidden('Once more: ')) !== password)
    throw new PinGoError('USAGE_PASSWORD', 'The two are not the same.', { hint: 'Try again.' })
  return password
}
