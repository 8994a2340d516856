import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const ENGINE = new URL('./index.ts', import.meta.url).href
/** A program that closes an engine whose process does not leave by itself, and has nothing else to wait for. */
const program = (isolation: string) => `
  const { Engine } = await import(${JSON.stringify(ENGINE)})
  const engine = await Engine.start({ isolation: ${JSON.stringify(isolation)} })
  process.kill(engine.pid, 'SIGSTOP')
  await engine.close()
  console.log('closed')
`

for (const isolation of ['none', 'auto'])
  test(`whoever closes an engine (isolation ${isolation}) whose process hangs waits until it is gone`, {
    skip: process.platform === 'win32',
  }, async () => {
    const args = ['--input-type=module', '--eval', program(isolation)]
    assert.equal((await promisify(execFile)(process.execPath, args)).stdout, 'closed\n')
  })
