import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readCheckpoint } from '@pingo/engine'
import { parseModel } from '@pingo/graph'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

test("the engine's README trains the example's model on its table, as it stands there", async () => {
  const text = await readFile(join(ROOT, 'packages', 'engine', 'README.md'), 'utf8')
  const code = /```ts\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
  assert.ok(code.includes("from '@pingo/engine'"), 'the first block of the README')
  const folder = await mkdtemp(join(tmpdir(), 'pingo-readme-'))
  try {
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
    for (const file of ['model.onnx', 'penguins.csv'])
      await copyFile(join(ROOT, 'examples', 'own-onnx', file), join(folder, file))
    await writeFile(join(folder, 'example.mts'), code)
    const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', 'example.mts'], {
      cwd: folder,
    })
    const epochs = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
    assert.equal(epochs.length, 40)
    const [, loss, accuracy] = epochs.at(-1) as [number, number, number]
    assert.ok(loss < epochs[0]![1]! / 2, `the loss went from ${epochs[0]![1]} to ${loss}`)
    assert.ok(accuracy > 0.9, `${accuracy} of the test samples`)
    const trained = parseModel(await readFile(join(folder, 'trained.onnx')))
    const { weights } = readCheckpoint(await readFile(join(folder, 'trained.safetensors')))
    for (const [name, { data }] of weights) {
      const held = trained.graph.initializers.get(name)
      if (held) assert.deepEqual(held.data, data, name)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})
