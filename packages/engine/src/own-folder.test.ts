import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { OWN_FOLDER, removeFolder } from './own-folder.js'

const place = mkdtempSync(join(tmpdir(), 'not-its-own-'))
after(() => rmSync(place, { recursive: true, force: true }))

it('a child removes the folder that was made for it, and no other', async () => {
  const made = mkdtempSync(join(place, OWN_FOLDER))
  removeFolder(made)
  assert.equal(existsSync(made), false)
  writeFileSync(join(place, 'precious'), '')
  removeFolder(place)
  // a real child, started by hand where it does not belong, ends as its parent lets go
  const child = fork(
    fileURLToPath(new URL('./child-start.js', import.meta.url)),
    [JSON.stringify({ runtime: 'auto', threads: 1, pace: 1 })],
    {
      cwd: place,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc', 'pipe', 'pipe'],
    },
  )
  await once(child, 'message')
  child.send({ type: 'exit' })
  await once(child, 'close')
  assert.equal(existsSync(join(place, 'precious')), true)
})
