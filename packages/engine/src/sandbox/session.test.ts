import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Engine } from '../index.ts'
import { niceSession } from './sandbox.ts'

test('the session of another is made nice, one that is shared is not', () => {
  const proc = mkdtempSync(join(tmpdir(), 'pingo-proc-'))
  const write = (of: string, text: string): string => {
    mkdirSync(join(proc, of), { recursive: true })
    writeFileSync(join(proc, of, 'autogroup'), text)
    return join(proc, of, 'autogroup')
  }
  try {
    write('self', '/autogroup-1 nice 0\n')
    const shared = write('7', '/autogroup-1 nice 0\n')
    const own = write('8', '/autogroup-2 nice 0\n')
    for (const pid of [7, 8, 9]) niceSession(pid, 19, proc)
    assert.equal(readFileSync(shared, 'utf8'), '/autogroup-1 nice 0\n')
    assert.equal(readFileSync(own, 'utf8'), '19')
  } finally {
    rmSync(proc, { recursive: true, force: true })
  }
})

test('an engine of a guest gives way to the programs of other sessions', {
  skip: !existsSync('/proc/self/autogroup') && 'no autogroups here',
}, async () => {
  for (const isolation of ['none', 'native'] as const) {
    await using engine = await Engine.start({ niceness: 19, idleClass: true, isolation })
    assert.match(readFileSync(`/proc/${engine.pid}/autogroup`, 'utf8'), /nice 19$/m, isolation)
  }
})
