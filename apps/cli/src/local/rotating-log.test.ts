import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RotatingLog } from './rotating-log.ts'

test('a log keeps its newest lines in five files and never takes more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-log-'))
  try {
    for (let start = 0; start < 10; start++) {
      const log = new RotatingLog(folder, 'node', 1000) // opened anew, it goes on where it was
      for (let line = 0; line < 100; line++) log.write(`${start} ${line} ${'x'.repeat(40)}\n`)
      log.close()
    }
    const names = (await readdir(folder)).sort()
    assert.deepEqual(names, ['node.1.log', 'node.2.log', 'node.3.log', 'node.4.log', 'node.log'])
    for (const name of names) assert.ok((await stat(join(folder, name))).size <= 1000, name)
    const text = await Promise.all(
      [4, 3, 2, 1, 0].map((n) => readFile(join(folder, n ? `node.${n}.log` : 'node.log'), 'utf8')),
    )
    const kept = text
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.split(' ')[1]))
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, n) => 100 - kept.length + n),
      'in order, to the last',
    )
  } finally {
    await rm(folder, { recursive: true })
  }
})
