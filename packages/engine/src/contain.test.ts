import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { screened, Target } from './testing/contain.ts'
import { hostileGraphs } from './testing/hostile.ts'
import { byteMutant, honest, random, structureMutant } from './testing/mutants.ts'
import { neighbour } from './testing/neighbour.ts'

const CANARY = 'CANARY-of-the-owner'
const MUTANTS = 150

describe('graphs of somebody who means harm', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pingo-contain-'))
  const canary = join(folder, 'owner.bin')
  writeFileSync(canary, CANARY.repeat(1000))
  const target = new Target(screened)
  let other: Awaited<ReturnType<typeof neighbour>>
  before(async () => {
    other = await neighbour()
  })
  after(async () => {
    await target.close()
    await other.close()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const hostile of hostileGraphs(canary))
    it(`are refused, ended within limits, or harmless: ${hostile.kind}, ${hostile.name}`, async () => {
      const { how, code, said } = await target.put(hostile)
      assert.ok(!said.includes('CANARY') && !said.includes('root:'), said)
      if (hostile.kind === 'files' || hostile.kind === 'programs') assert.equal(how, 'refused')
      // Which of its limits ends one depends on how busy the machine is.
      const limits = ['ENGINE_MEMORY', 'ENGINE_TIMEOUT']
      if (hostile.kind === 'memory' || hostile.kind === 'time')
        assert.ok(how === 'refused' || limits.includes(code!), `${how} ${code}`)
    })

  it('and honest ones that were changed, by bytes and by structure, end no parent', async () => {
    const next = random(20_261)
    const bases = honest()
    for (let i = 0; i < MUTANTS; i++)
      for (const make of [byteMutant, structureMutant]) {
        let graph: Uint8Array
        try {
          graph = make(bases[i % bases.length]!, next)
        } catch {
          // Changed so that no file can hold it.
          continue
        }
        await target.put({ graph })
      }
  })

  it('send nothing, and the lease beside them comes to the bits of an undisturbed one', async () => {
    assert.equal(target.sentBytes, 0)
    const { steps, same } = await other.end()
    assert.ok(steps > 0)
    assert.equal(same, true)
  })
})
