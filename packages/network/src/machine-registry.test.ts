import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { nodesOfMachine, registerNode } from './machine-registry.ts'

const root = mkdtempSync(join(tmpdir(), 'pingo-registry-'))
after(() => rmSync(root, { recursive: true, force: true }))

test('a node is known while it runs; a process may be several', () => {
  const folder = join(root, 'nodes')
  const first = registerNode({ folder })
  const second = registerNode({ folder })
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.deepEqual(nodesOfMachine({ folder }), [process.pid])
  first()
  assert.deepEqual(nodesOfMachine({ folder }), [process.pid])
  second()
  assert.deepEqual(readdirSync(folder), [])
  assert.deepEqual(nodesOfMachine({ folder: join(root, 'none') }), [])
})

test('a process that was killed, and another one with its id, are no nodes', {
  skip: !existsSync('/proc/self/stat'),
}, () => {
  const folder = join(root, 'stale')
  const remove = registerNode({ folder })
  writeFileSync(join(folder, `${process.pid}-00000000`), '1')
  writeFileSync(join(folder, `${process.pid}-nonsense`), '1')
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  writeFileSync(join(folder, `${pid}-00000000`), '5')
  assert.deepEqual(nodesOfMachine({ folder }), [process.pid])
  remove()
  assert.deepEqual(nodesOfMachine({ folder }), [])
})

test('a process that exits leaves nothing behind', async () => {
  const folder = join(root, 'exits')
  const module = JSON.stringify(new URL('./machine-registry.ts', import.meta.url).href)
  const code = `const { registerNode, nodesOfMachine } = await import(${module})
    registerNode({ folder: ${JSON.stringify(folder)} }); console.log(nodesOfMachine({ folder: ${JSON.stringify(folder)} }).length)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code])
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk) => chunks.push(chunk))
  await new Promise((resolve) => child.once('close', resolve))
  assert.equal(Buffer.concat(chunks).toString().trim(), '1')
  assert.deepEqual(readdirSync(folder), [])
})

test('a folder that others can write is not believed', { skip: process.getuid === undefined }, () => {
  const folder = join(root, 'open')
  const remove = registerNode({ folder })
  chmodSync(folder, 0o777)
  assert.deepEqual(nodesOfMachine({ folder }), [])
  remove()
})
