import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sizeOf } from '@pingo/wire'
import { GraphBuilder } from '../builder.ts'
import { differentiate } from '../differentiate.ts'
import { ints } from '../model.ts'
import { writeModel } from '../proto/write.ts'
import { tensorOf } from '../tensors.ts'
import { distance, runOnce } from '../testing/runtime.ts'

const noise = (shape: number[], seed: number) =>
  tensorOf(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(1.7 * i + seed)),
  )

/** dW[m, c, i, j] of a 3 × 3 convolution with a border of one, summed as it is defined, in double precision. */
function expected(x: Float32Array, g: Float32Array, [n, c, height, width]: number[], m: number): Float64Array {
  const sums = new Float64Array(m * c! * 9)
  for (let s = 0; s < sums.length; s++) {
    const [out, channel, i, j] = [Math.floor(s / 9 / c!), Math.floor(s / 9) % c!, Math.floor(s / 3) % 3, s % 3]
    for (let image = 0; image < n!; image++)
      for (let h = 0; h < height!; h++)
        for (let v = 0; v < width!; v++) {
          const [row, column] = [h + i - 1, v + j - 1]
          if (row < 0 || row >= height! || column < 0 || column >= width!) continue
          const at = x[((image * c! + channel) * height! + row) * width! + column]!
          sums[s]! += at * g[((image * m + out) * height! + h) * width! + v]!
        }
  }
  return sums
}

// As many channels out as one joined product takes, and more.
for (const m of [64, 136])
  test(`the gradient of a convolution of ${m} channels by its weights is the sum that it is defined as`, async () => {
    const size = [2, 4, 12, 12]
    const [x, w, g] = [noise(size, 0), noise([m, 4, 3, 3], 1), noise([2, m, 12, 12], 2)]
    const b = new GraphBuilder()
    const weight = b.weight('w', w)
    const y = b.one('Conv', [b.input('x', 'float32', size), weight], {
      kernel_shape: ints([3, 3]),
      pads: ints([1, 1, 1, 1]),
    })
    const gradient = differentiate(b, [[y, b.input('g', 'float32', g.shape)]], [weight]).get('w')!
    const graph = writeModel(b.finish('gradient', [['dw', gradient]], [weight]))
    const results = await runOnce(graph, Object.entries({ x, w, g }))
    const far = distance(results.get('dw')!.data, expected(x.data as Float32Array, g.data as Float32Array, size, m))
    assert.ok(far < 1e-5, `distance ${far}`)
  })
