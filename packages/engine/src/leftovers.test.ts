import assert from 'node:assert/strict'
import { test } from 'node:test'
import { challengeGraph, challengeLink, runIn } from './challenge.ts'
import { Engine } from './engine.ts'
import { Leftovers } from './leftovers.ts'

test('a collection comes after some megabytes of tensors, and then anew', () => {
  let collections = 0
  const leftovers = new Leftovers(() => collections++)
  const tensor = { dtype: 'float32' as const, shape: [1 << 16], data: new Float32Array(1 << 16) }
  for (let i = 0; i < 5; i++) leftovers.passed({ z: tensor })
  assert.equal(collections, 0)
  leftovers.passed({ z: tensor })
  assert.equal(collections, 1)
  for (let i = 0; i < 6; i++) leftovers.passed({ z: tensor })
  assert.equal(collections, 2)
})

test('a child that runs a graph a hundred times is not larger by what passed through it', async () => {
  await using engine = await Engine.start()
  const run = runIn(await engine.open(challengeGraph(4)))
  const link = async (times: number): Promise<number> => {
    for (let i = 0; i < times; i++) await challengeLink(new Uint8Array(32), run)
    return (await engine.memory()).rssBytes
  }
  const before = await link(20)
  const after = await link(100)
  assert.ok(after - before < 16e6, `it has grown by ${after - before} bytes of the 39 million that passed`)
})
