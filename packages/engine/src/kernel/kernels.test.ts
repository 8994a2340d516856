import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TensorSpec } from '@pingo/wire'
import fc from 'fast-check'
import { Kernels } from './kernels.ts'
import type { Kernel, KernelOp } from './tail.ts'

const f = Math.fround
const reference: Record<KernelOp, (a: number, b: number) => number> = {
  Add: (a, b) => f(a + b),
  Sub: (a, b) => f(a - b),
  Mul: (a, b) => f(a * b),
  Div: (a, b) => f(a / b),
  Max: Math.max,
  Min: Math.min,
  Sqrt: (a) => f(Math.sqrt(a)),
  Neg: (a) => -a,
  Abs: (a) => Math.abs(a),
  Sign: (a) => (Number.isNaN(a) ? a : Math.sign(a)),
}
const binary: KernelOp[] = ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min']
const unary: KernelOp[] = ['Sqrt', 'Neg', 'Abs']

const spec = (name: string, size: number): TensorSpec => ({ name, dtype: 'float32', shape: [size] })
const number = fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }).map((x) => x + 0)

/** A kernel over `a` and `b` with one scalar and one constant, whose last result overwrites `a` and whose last but one `b`. */
const kernels = fc
  .record({
    size: fc.integer({ min: 1, max: 67 }),
    constant: number,
    steps: fc.array(fc.record({ op: fc.constantFrom(...binary, ...unary), x: fc.nat(1000), y: fc.nat(1000) }), {
      minLength: 2,
      maxLength: 12,
    }),
  })
  .map(({ size, constant, steps }): Kernel => {
    const code = steps.map(({ op, x, y }, i) => {
      const values = 4 + i
      return { op, args: binary.includes(op) ? [x % values, y % values] : [x % values] }
    })
    const last = 3 + code.length
    return {
      size,
      reads: ['a', 'b'],
      scalars: ['s'],
      constants: [constant],
      code,
      writes: [
        { name: 'a', value: last },
        { name: 'b', value: last - 1 },
      ],
    }
  })

test('a kernel rounds as its operations do one by one, to the bit, in place', () => {
  fc.assert(
    fc.property(kernels, fc.array(number, { minLength: 140, maxLength: 140 }), number, (kernel, data, s) => {
      const scalar = Float32Array.of(s)
      const ran = new Kernels(
        [spec('a', kernel.size), spec('b', kernel.size)],
        { cuts: [], kernels: [kernel] },
        new Map([['s', scalar]]),
      )
      const [a, b] = [ran.arrays.get('a')!, ran.arrays.get('b')!]
      a.set(data.slice(0, kernel.size))
      b.set(data.slice(70, 70 + kernel.size))
      const wanted = [...a].map((x, i) => {
        const values = [x, b[i]!, scalar[0]!, f(kernel.constants[0]!)]
        for (const { op, args } of kernel.code) values.push(reference[op](values[args[0]!]!, values[args[1]!]!))
        return [values.at(-1)!, values.at(-2)!] as const
      })
      ran.run()
      for (const [i, [first, second]] of wanted.entries()) {
        assert.deepEqual([a[i], b[i]], [first, second], `element ${i}`)
      }
    }),
    { numRuns: 300 },
  )
})

test('the sign of zero is zero, of others one', () => {
  const kernel: Kernel = {
    size: 5,
    reads: ['a'],
    scalars: [],
    constants: [],
    code: [{ op: 'Sign', args: [0] }],
    writes: [{ name: 'a', value: 1 }],
  }
  const ran = new Kernels([spec('a', 5)], { cuts: [], kernels: [kernel] }, new Map())
  ran.arrays.get('a')!.set([3, -2, 0, 1e-30, Number.NEGATIVE_INFINITY])
  ran.run()
  assert.deepEqual([...ran.arrays.get('a')!], [1, -1, 0, 1, -1])
})

test('one element that is not finite is seen, wherever it lies and whatever the rest', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    for (const size of [1, 3, 16, 17, 100]) {
      const ran = new Kernels([], { cuts: [spec('g', size), spec('h', 2)], kernels: [] }, new Map())
      const g = ran.arrays.get('g')!
      g.fill(3.4e38)
      assert.ok(ran.finite(), 'the greatest numbers are finite')
      for (const at of [0, size >> 1, size - 1]) {
        const before = g[at]!
        g[at] = bad
        assert.ok(!ran.finite(), `${bad} at ${at} of ${size}`)
        g[at] = before
      }
      assert.ok(ran.finite())
    }
})
