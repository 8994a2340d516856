import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { sealFile } from '@pingo/storage'
import { cidOf, createIdentity, isPinGoError, MAX_GRANT_MS } from '@pingo/wire'
import { Grants } from './grants.ts'

const object = cidOf(Buffer.from('a dataset')).toString()

async function place() {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-grants-'))
  let now = 1e12
  const identity = await createIdentity()
  const open = () => Grants.open(folder, identity, () => now)
  return { folder, open, pass: (ms: number) => (now += ms), now: () => now, end: () => rm(folder, { recursive: true }) }
}

test('a job’s key outlives a restart sealed to the node, and nothing of it outlives the job', async () => {
  const { folder, open, now, end } = await place()
  const key = randomBytes(32)
  const given = [{ object, key: key.toString('base64url'), until: now() + 1e6 }]
  const sealed = Buffer.concat(await Array.fromAsync(sealFile(key, Buffer.from('secret'))))
  const read = (grants: Grants, job = 'job-1') =>
    Buffer.from(grants.unsealOf(job, object)(sealed, {} as never)).toString()
  const isMissing = (error: unknown) => isPinGoError(error, 'GRANT_MISSING')

  const first = await open()
  first.hold('job-1', given)
  await first.keep('job-1', given)
  assert.equal(read(first), 'secret')
  assert.throws(() => read(first, 'job-2'), isMissing)
  const onDisk = await readFile(join(folder, 'job-1'))
  for (const shown of [key, Buffer.from(given[0]!.key), Buffer.from(key.toString('hex'))])
    assert.ok(!onDisk.includes(shown))
  assert.ok(!inspect(first, { depth: 9 }).includes(given[0]!.key))

  const second = await open()
  assert.throws(() => read(second), isMissing)
  await second.forgetAllBut(new Set(['job-1']))
  await second.restore('job-1')
  assert.equal(read(second), 'secret')
  await second.end('job-1')
  assert.throws(() => read(second), isMissing)
  assert.deepEqual(await readdir(folder), [])
  await assert.rejects((await open()).restore('job-1'))

  // a crash before the job was taken in, or before its end was carried out
  await first.keep('job-3', given)
  await (await open()).forgetAllBut(new Set())
  assert.deepEqual(await readdir(folder), [])
  await end()
})

test('a key is good for its time and never longer than the limit; a file of another node opens nothing', async () => {
  const { folder, open, pass, now, end } = await place()
  const given = [{ object, key: randomBytes(32).toString('base64url'), until: now() + 10 * MAX_GRANT_MS }]
  const grants = await open()
  grants.hold('job-1', given)
  await grants.keep('job-1', given)
  pass(MAX_GRANT_MS)
  assert.throws(
    () => grants.keyFor('job-1', object),
    (error) => isPinGoError(error, 'GRANT_EXPIRED'),
  )
  const other = await Grants.open(folder, await createIdentity(), now)
  await assert.rejects(other.restore('job-1'), (error) => isPinGoError(error, 'WRAP_INVALID'))
  await end()
})
