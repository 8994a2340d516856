import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPinGoError } from '@pingo/wire'
import { readMachine } from './machine.ts'
import { SETTINGS_FILE, SettingsFile } from './settings-file.ts'
import type { Machine } from './words.ts'

const GIB = 2 ** 30
const machine: Machine = {
  name: 'study',
  cores: 8,
  memoryBytes: 16 * GIB,
  freeMemoryBytes: 10 * GIB,
  freeDiskBytes: 100 * GIB,
}

async function withHome(work: (home: string, file: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'pingo-settings-'))
  try {
    await work(home, join(home, SETTINGS_FILE))
  } finally {
    await rm(home, { recursive: true })
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !condition(); await sleep(20))
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
}

test('without a file the defaults hold; what cannot be taken is refused at the start, with its place', () =>
  withHome(async (home, path) => {
    const none = await SettingsFile.open(home, { machine })
    assert.deepEqual([none.settings.cores, none.words, none.trouble], [7, {}, undefined])
    none.close()
    for (const wrong of ['{"disk": "lots"}', '{"disc": "20GB"}', 'disk: 20GB', '[]', `"${'x'.repeat(70_000)}"`]) {
      await writeFile(path, wrong)
      await assert.rejects(
        SettingsFile.open(home, { machine }),
        (error) => isPinGoError(error, 'SETTINGS_INVALID') && error.message.includes(SETTINGS_FILE),
        wrong.slice(0, 30),
      )
    }
  }))

test('a file that changes holds at once; a broken one leaves all as it was and says so, until it is mended', () =>
  withHome(async (home, path) => {
    await writeFile(path, '{"cores": 2}')
    const file = await SettingsFile.open(home, { machine, overrides: { disk: '1GB' } })
    try {
      const seen: number[] = []
      file.onChange(({ cores }) => seen.push(cores))
      assert.deepEqual([file.settings.cores, file.settings.diskBytes], [2, 1e9])

      await writeFile(path, '{"cpu": "50%", "disk": "2GB"}')
      await until(() => file.settings.cores === 4, 'the change')
      assert.equal(file.settings.diskBytes, 1e9, 'an option of the command goes before the file')

      await writeFile(path, '{"cpu": "50%"')
      await until(() => file.trouble !== undefined, 'the trouble')
      assert.match(file.trouble!, /is not JSON.*The settings from before hold\./)
      assert.equal(file.settings.cores, 4)

      await writeFile(`${path}.new`, '{"cpu": 1}') // as editors do that write anew
      await rename(`${path}.new`, path)
      await until(() => file.settings.cores === 1 && file.trouble === undefined, 'the mended file')

      await rm(path)
      await until(() => file.settings.cores === 7, 'the defaults')
      assert.deepEqual(seen, [4, 1, 7], 'each change is told once')
    } finally {
      file.close()
    }
  }))

test('where the file system tells nothing, a look each few seconds finds the change', () =>
  withHome(async (home, path) => {
    const file = await SettingsFile.open(home, { machine, pollMs: 20 })
    try {
      // what the watcher would tell is not waited for: the poll alone sees to it that both agree in the end
      await writeFile(path, '{"cpu": 3}')
      await until(() => file.settings.cores === 3, 'the change')
    } finally {
      file.close()
    }
  }))

test('a change is written whole, holds at once, is told once, and ends an option of the command', () =>
  withHome(async (home, path) => {
    await writeFile(path, '{"cores": 2, "keepFree": "5GB"}')
    const file = await SettingsFile.open(home, { machine, overrides: { cpu: 1, disk: '1GB' } })
    try {
      const seen: number[] = []
      file.onChange(({ cores }) => seen.push(cores))
      const changed = await file.change({ cpu: '25%', keepFree: null })
      assert.deepEqual([changed.cores, changed.keepFreeBytes, changed.diskBytes], [2, 2 ** 30, 1e9])
      assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { cpu: '25%' })

      await assert.rejects(file.change({ cpu: '400%' }), (error) => isPinGoError(error, 'SETTINGS_INVALID'))
      await Promise.all([file.change({ cpu: 3 }), file.change({ name: 'attic' }), file.change({ slices: 2 })])
      assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { cpu: 3, name: 'attic', slices: 2 })
      await sleep(300) // the watcher has had its say on what was written here
      assert.deepEqual(
        seen.filter((cores, index) => cores !== seen[index - 1]),
        [2, 3],
      )
      assert.equal(seen.length, 4)
      assert.deepEqual(await readdir(home), [SETTINGS_FILE], 'nothing is left lying')
    } finally {
      file.close()
    }
  }))

test('what was written by hand a moment before a change is not lost; a broken file is not overwritten', () =>
  withHome(async (home, path) => {
    const file = await SettingsFile.open(home, { machine })
    try {
      await writeFile(path, '{"name": "attic"}')
      await file.change({ cpu: 2 })
      assert.deepEqual([file.settings.name, file.settings.cores], ['attic', 2])
      await writeFile(path, '{"name": ')
      await assert.rejects(file.change({ cpu: 3 }), /is not JSON/)
      assert.equal(await readFile(path, 'utf8'), '{"name": ')
    } finally {
      file.close()
    }
  }))

test('this machine is looked at: its disk even where the home is still to be made', () =>
  withHome(async (home) => {
    const found = await readMachine(join(home, 'not', 'there'))
    assert.ok(found.cores >= 1 && found.memoryBytes > 0 && found.freeMemoryBytes > 0 && found.freeDiskBytes > 0)
  }))
