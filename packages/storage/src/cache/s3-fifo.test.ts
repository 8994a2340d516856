import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SizedCache } from './s3-fifo.ts'

describe('a sized cache', () => {
  it('keeps what is read again when much passes by that is read once', () => {
    const cache = new SizedCache<number>({ maxBytes: 100 })
    for (let n = 0; n < 5; n++) cache.set(`hot ${n}`, n, 10)
    for (let n = 0; n < 5; n++) for (let times = 0; times < 3; times++) assert.equal(cache.get(`hot ${n}`), n)
    for (let n = 0; n < 1000; n++) cache.set(`once ${n}`, n, 10)
    for (let n = 0; n < 5; n++) assert.equal(cache.get(`hot ${n}`), n)
    assert.ok(cache.bytes <= 100)
    assert.equal(cache.get('once 3'), undefined)
  })

  it('takes what comes back soon after it went as wanted', () => {
    const cache = new SizedCache<string>({ maxBytes: 10 })
    for (const key of 'abcdefghijkl') cache.set(key, key, 1)
    assert.equal(cache.get('a'), undefined)
    cache.set('a', 'again', 1)
    for (const key of 'mnopqrstuvwxyz') cache.set(key, key, 1)
    assert.equal(cache.get('a'), 'again')
  })

  it('tells what made room, once, and nothing of what was deleted or replaced', () => {
    const evicted: string[] = []
    const cache = new SizedCache<string>({ maxBytes: 3, onEvict: (key) => evicted.push(key) })
    for (const key of ['a', 'b', 'c']) cache.set(key, key, 1)
    cache.set('b', 'B', 1)
    assert.ok(cache.delete('c'))
    assert.ok(!cache.delete('c'))
    assert.deepEqual(evicted, [])
    cache.set('huge', 'x', 4)
    assert.ok(!cache.has('huge'))
    cache.set('d', 'd', 3)
    assert.deepEqual(evicted.sort(), ['a', 'b'])
    cache.shrink(0)
    assert.equal(cache.size, 0)
    assert.equal(cache.bytes, 0)
  })

  it('never holds more than its limit, and gives back only what was put last under a key', () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 30 }),
      bytes: fc.integer({ min: 0, max: 40 }),
      what: fc.integer({ min: 0, max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const model = new Map<string, number>()
        const sizes = new Map<string, number>()
        const cache = new SizedCache<number>({ maxBytes: 100, onEvict: (key) => void model.delete(key) })
        steps.forEach(({ key: n, bytes, what }, at) => {
          const key = String(n)
          if (what < 5) {
            model.set(key, at) // before: it may be what makes room for itself
            cache.set(key, at, bytes)
            sizes.set(key, bytes)
            assert.equal(cache.get(key), at)
          } else if (what < 9) assert.equal(cache.get(key), model.get(key))
          else assert.equal(cache.delete(key), model.delete(key))
          assert.ok(cache.bytes <= 100)
          assert.equal(cache.size, model.size)
          assert.equal(
            cache.bytes,
            [...model.keys()].reduce((sum, each) => sum + sizes.get(each)!, 0),
          )
          assert.deepEqual([...cache.keys()].sort(), [...model.keys()].sort())
        })
      }),
    )
  })
})
