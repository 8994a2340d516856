import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { claimCgroup, enterCgroup } from './cgroup.ts'

/** A tree of files that looks like cgroup v2: unlike the kernel's, it makes no files in new folders. */
describe('a cgroup of its own', () => {
  let root: string
  let unit: string
  let membership: string
  const procs = (...pids: number[]) => writeFileSync(join(unit, 'cgroup.procs'), pids.map((pid) => `${pid}\n`).join(''))

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pingo-cgroup-'))
    unit = join(root, 'user.slice/pingo.service')
    mkdirSync(unit, { recursive: true })
    membership = join(root, 'membership')
    writeFileSync(membership, '0::/user.slice/pingo.service\n')
    writeFileSync(join(unit, 'cgroup.controllers'), 'cpu memory pids\n')
    procs(process.pid)
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  it('is claimed where it was delegated: this process moves down, so that groups with limits may be beside it', () => {
    assert.equal(claimCgroup({ root, membership }), unit)
    assert.equal(readFileSync(join(unit, 'pingo-main/cgroup.procs'), 'utf8'), String(process.pid))
    assert.match(readFileSync(join(unit, 'cgroup.subtree_control'), 'utf8'), /^\+(cpu|memory|pids)$/)
  })

  it('is found again by a process that moved down before', () => {
    claimCgroup({ root, membership })
    procs()
    writeFileSync(membership, '0::/user.slice/pingo.service/pingo-main\n')
    assert.equal(claimCgroup({ root, membership }), unit)
  })

  it("is left alone where others live in it, as in a terminal's, or where there is none", () => {
    procs(process.pid, 1)
    assert.equal(claimCgroup({ root, membership }), undefined)
    assert.equal(existsSync(join(unit, 'pingo-main')), false)
    writeFileSync(membership, '0::/\n')
    assert.equal(claimCgroup({ root, membership }), undefined)
    writeFileSync(membership, '4:memory:/a\n1:cpu:/b\n')
    assert.equal(claimCgroup({ root, membership }), undefined)
    assert.equal(claimCgroup({ root: '/nowhere', membership: '/nowhere' }), undefined)
  })

  it('takes a child with the limits that the kernel knows, and says which', () => {
    const known = ['cpu.idle', 'cpu.max', 'memory.max', 'memory.swap.max']
    const group = enterCgroup(unit, 4242, { cores: 0.5, memoryBytes: 1e9 }, (path) => {
      mkdirSync(path)
      for (const file of known) writeFileSync(join(path, file), '')
    })!
    const said = (file: string): string => readFileSync(join(group.path, file), 'utf8')
    assert.equal(said('cgroup.procs'), '4242')
    assert.deepEqual([...group.active].sort(), known)
    assert.deepEqual(known.map(said), ['1', '50000 100000', '1000000000', '0'])
    assert.equal(existsSync(join(group.path, 'pids.max')), false)
    assert.equal(enterCgroup('/nowhere', 1, {}), undefined)
  })
})
