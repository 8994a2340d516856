import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  backupOf,
  KEYRING_FILE,
  type Keyring,
  phraseOf,
  restoreKeyring,
  secretOf,
  secretOfBackup,
} from '@pingo/storage'

/** Where the owner's secret is. */
export const keysFile = (home: string): string => join(home, KEYRING_FILE)

/** The secret as a recovery phrase of 24 words, or with a password as the text of a backup file. */
export async function backupKeys(keyring: Keyring, password?: string): Promise<string> {
  const secret = keyring.revealSecret()
  try {
    return password === undefined ? phraseOf(secret) : await backupOf(secret, password)
  } finally {
    secret.fill(0)
  }
}

/**
 * Puts the owner's secret back into a home: then {@link openStore} and `sync` bring the index from the network.
 * @param backup a recovery phrase, or the text of a backup file with its password
 * @throws PinGoError PHRASE_INVALID, BACKUP_MALFORMED, PASSWORD_WRONG, KEYRING_EXISTS
 */
export async function restoreKeys(
  home: string,
  backup: { phrase: string } | { file: string; password: string },
): Promise<Keyring> {
  const secret = 'phrase' in backup ? secretOf(backup.phrase) : await secretOfBackup(backup.file, backup.password)
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    return await restoreKeyring(keysFile(home), secret)
  } finally {
    secret.fill(0)
  }
}
