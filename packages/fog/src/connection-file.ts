import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from '@pingo/wire'

/** The submit token of a fog node: made once, kept beside its identity with mode 0600. */
export async function loadToken(file: string): Promise<string> {
  try {
    const token = (await readFile(file, 'utf8')).trim()
    if (token) return token
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const token = randomBytes(24).toString('base64url')
  await writeFile(file, `${token}\n`, { mode: 0o600 })
  return token
}

/** Tells clients of the same owner on this machine where the fog node is. @returns how to take the file away again */
export async function writeConnection(home: string, connection: Connection): Promise<() => Promise<void>> {
  const file = join(home, 'connection.json')
  const text = `${JSON.stringify(connection, null, 2)}\n`
  const temporary = `${file}.${process.pid}`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, file)
  return async () => {
    if ((await readFile(file, 'utf8').catch(() => '')) === text) await rm(file, { force: true })
  }
}
