import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { readSettings, SETTINGS_FILE } from './contributor-settings.ts'

test('what an owner lends is read from the home; what cannot be taken is refused with its place', async () => {
  const home = await mkdtemp(join(tmpdir(), 'pingo-settings-'))
  try {
    assert.deepEqual(await readSettings(home), {})
    const write = (text: string) => writeFile(join(home, SETTINGS_FILE), text)
    await write('{"disk": "20GB", "keepFree": "5Gi", "cores": 0.5}')
    assert.deepEqual(await readSettings(home), { disk: 20e9, keepFree: 5 * 2 ** 30, cores: 0.5 })
    for (const wrong of ['{"disk": "lots"}', '{"disk": "0"}', '{"disk": 20}', '{"disc": "20GB"}', 'disk: 20GB', '[]']) {
      await write(wrong)
      await assert.rejects(readSettings(home), (error) => isPinGoError(error, 'SETTINGS_INVALID'), wrong)
    }
  } finally {
    await rm(home, { recursive: true })
  }
})
