import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseBytes } from '@pingo/client/local'
import { PinGoError, validate } from '@pingo/wire'
import { z } from 'zod'

/** What an owner lends, written down in the contributor's home; an option of the command goes before it. */
export const SETTINGS_FILE = 'contributor.json'

const Size = z
  .string()
  .transform(parseBytes)
  .pipe(z.number('is not a size such as 20GB or 512Mi').positive('is not a size such as 20GB or 512Mi'))
const SettingsSchema = z.strictObject({
  cores: z.number().min(0.05).max(4096).optional(),
  memory: Size.optional(),
  disk: Size.optional(),
  keepFree: Size.optional(),
  name: z.string().min(1).max(100).optional(),
})
export type ContributorSettings = z.infer<typeof SettingsSchema>

/** Reads the settings in `home`; none when there is no such file. @throws PinGoError SETTINGS_INVALID */
export async function readSettings(home: string): Promise<ContributorSettings> {
  const file = join(home, SETTINGS_FILE)
  const text = await readFile(file, 'utf8').catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '{}'
    throw error
  })
  try {
    return validate(SettingsSchema, JSON.parse(text), SETTINGS_FILE)
  } catch (cause) {
    throw new PinGoError('SETTINGS_INVALID', `${file} cannot be taken: ${(cause as Error).message}`, {
      hint: 'It is JSON such as {"disk": "20GB", "keepFree": "5GB", "cores": 2, "memory": "2Gi", "name": "study"}.',
      cause,
    })
  }
}
