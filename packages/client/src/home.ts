import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where PinGo keeps what belongs to this user: `PINGO_HOME`, else `.pingo` in the home folder. Absolute. */
export function homeFolder(environment: Environment = process.env): string {
  return resolve(environment.PINGO_HOME || join(homedir(), '.pingo'))
}
