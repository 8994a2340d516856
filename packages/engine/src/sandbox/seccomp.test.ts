import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seccompFilter } from './seccomp.ts'

const ARCH = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const
const ALLOW = 'allow'

/** What the filter says of a call: a machine for the instructions that it uses, as seccomp(2) describes them. */
function verdict(bytes: Uint8Array, nr: number, arch: number, args: number[] = []): string {
  const view = new DataView(bytes.buffer)
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, nr, true)
  data.setUint32(4, arch, true)
  for (const [i, arg] of args.entries()) data.setBigUint64(16 + 8 * i, BigInt(arg), true)
  let a = 0
  for (let at = 0; ; at++) {
    const [code, t, f, k] = [
      view.getUint16(at * 8, true),
      view.getUint8(at * 8 + 2),
      view.getUint8(at * 8 + 3),
      view.getUint32(at * 8 + 4, true),
    ]
    if (code === 0x20) a = data.getUint32(k, true)
    else if (code === 0x15) at += a === k ? t : f
    else if (code === 0x35) at += a >= k ? t : f
    else if (code === 0x45) at += (a & k) !== 0 ? t : f
    else if (code === 0x06) return k === 0x7fff_0000 ? ALLOW : k === 0x8000_0000 ? 'kill' : `errno ${k & 0xffff}`
    else assert.fail(`instruction ${code}`)
  }
}

describe('the filter of system calls', () => {
  const calls = {
    x64: {
      read: 0,
      mmap: 9,
      execve: 59,
      openat: 257,
      socket: 41,
      ptrace: 101,
      bpf: 321,
      clone: 56,
      clone3: 435,
      ioctl: 16,
    },
    arm64: {
      read: 63,
      mmap: 222,
      execve: 221,
      openat: 56,
      socket: 198,
      ptrace: 117,
      bpf: 280,
      clone: 220,
      clone3: 435,
      ioctl: 29,
    },
  }
  for (const arch of ['x64', 'arm64'] as const)
    it(`lets a program compute, and not reach beyond itself: ${arch}`, () => {
      const { bytes, refused } = seccompFilter(arch)!
      const say = (name: keyof typeof calls.x64, ...args: number[]) =>
        verdict(bytes, calls[arch][name], ARCH[arch], args)
      for (const name of ['read', 'mmap', 'execve', 'openat'] as const) assert.equal(say(name), ALLOW, name)
      for (const name of ['socket', 'ptrace', 'bpf'] as const) assert.equal(say(name), 'errno 1', name)
      assert.equal(say('clone3'), 'errno 38')
      const thread = 0x3d0f00
      assert.equal(say('clone', thread), ALLOW)
      assert.equal(say('clone', 17), 'errno 1', 'a new process')
      for (const bit of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
        assert.equal(say('clone', thread | bit), 'errno 1', 'a namespace')
      assert.equal(say('ioctl', 0, 0x5401), ALLOW)
      assert.equal(say('ioctl', 0, 0x5412), 'errno 1')
      assert.equal(say('ioctl', 0, 0x541c), 'errno 1')
      // The upper half of an argument that the kernel cuts off hides nothing.
      assert.equal(say('ioctl', 0, 2 ** 32 + 0x5412), 'errno 1')
      assert.ok(refused > 80 && bytes.byteLength <= 4096 * 8)
    })

  it('knows no other architecture, nor the second numbers of its own', () => {
    const { bytes } = seccompFilter('x64')!
    assert.equal(verdict(bytes, 0, 0x4000_0003), 'kill')
    assert.equal(verdict(bytes, 0x4000_0000, ARCH.x64), 'errno 1')
    assert.equal(seccompFilter('riscv64'), undefined)
  })
})
