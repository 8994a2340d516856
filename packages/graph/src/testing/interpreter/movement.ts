import { type Call, either, flag, type Kernels, need, number, numbers, text } from './kernel.ts'
import { at, build, count, front, list, offset, type Ref, reshaped, size, spread, together } from './tensor.ts'

function padded(c: Call): Ref[] {
  const x = need(c, 0)
  const rank = x.shape.length
  const given = either(c, 'pads', 1)!
  const axes = list(c.inputs[3])?.map((axis) => front(axis, rank)) ?? count(rank)
  const before = x.shape.map((_, d) => (axes.includes(d) ? given[axes.indexOf(d)]! : 0))
  const after = x.shape.map((_, d) => (axes.includes(d) ? given[axes.length + axes.indexOf(d)]! : 0))
  const blank = c.inputs[2]?.data[0] ?? number(c, 'value', 0)
  const mode = text(c, 'mode', 'constant')
  // Where position n of an axis of `length` is read when it lies outside; -1: nowhere.
  const source = (n: number, length: number): number => {
    if (n >= 0 && n < length) return n
    if (mode === 'edge') return Math.min(Math.max(n, 0), length - 1)
    if (mode === 'wrap') return ((n % length) + length) % length
    if (mode === 'constant') return -1
    const period = 2 * (length - 1)
    const folded = period ? ((n % period) + period) % period : 0
    return folded < length ? folded : period - folded
  }
  // A negative pad takes away first; what is left is then mirrored.
  const start = before.map((n) => Math.max(0, -n))
  const kept = x.shape.map((n, d) => n - start[d]! - Math.max(0, -after[d]!))
  const shape = x.shape.map((n, d) => n + before[d]! + after[d]!)
  return [
    build(x.kind, shape, (index) => {
      const from = index.map((n, d) => source(n - Math.max(0, before[d]!), kept[d]!))
      return from.some((n) => n < 0)
        ? blank
        : at(
            x,
            from.map((n, d) => n + start[d]!),
          )
    }),
  ]
}

function sliced(c: Call): Ref[] {
  const x = need(c, 0)
  const starts = either(c, 'starts', 1)!
  const ends = either(c, 'ends', 2)!
  const axes = (either(c, 'axes', 3) ?? count(starts.length)).map((axis) => front(axis, x.shape.length))
  const steps = list(c.inputs[4]) ?? starts.map(() => 1)
  const chosen = x.shape.map((n, d) => {
    const i = axes.indexOf(d)
    if (i < 0) return count(n)
    const step = steps[i]!
    const wrap = (v: number) => (v < 0 ? v + n : v)
    const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v, low), high)
    const start = step > 0 ? clamp(wrap(starts[i]!), 0, n) : clamp(wrap(starts[i]!), 0, n - 1)
    const end = step > 0 ? clamp(wrap(ends[i]!), 0, n) : clamp(wrap(ends[i]!), -1, n - 1)
    const taken: number[] = []
    for (let p = start; step > 0 ? p < end : p > end; p += step) taken.push(p)
    return taken
  })
  const shape = chosen.map((taken) => taken.length)
  return [
    build(x.kind, shape, (index) =>
      at(
        x,
        index.map((n, d) => chosen[d]![n]!),
      ),
    ),
  ]
}

function split(c: Call): Ref[] {
  const x = need(c, 0)
  const axis = front(number(c, 'axis', 0), x.shape.length)
  const n = x.shape[axis]!
  const parts = number(c, 'num_outputs', c.outputs.length)
  const each = Math.ceil(n / parts)
  const sizes = either(c, 'split', 1) ?? count(parts).map((i) => (i < parts - 1 ? each : n - each * (parts - 1)))
  let start = 0
  return sizes.map((length) => {
    const first = start
    start += length
    return build(x.kind, x.shape.with(axis, length), (index) => at(x, index.with(axis, index[axis]! + first)))
  })
}

function reshape(c: Call): Ref[] {
  const x = need(c, 0)
  const given = list(need(c, 1))!
  const shape = given.map((n, d) => (n === 0 && !flag(c, 'allowzero') ? x.shape[d]! : n))
  const open = shape.indexOf(-1)
  if (open >= 0) shape[open] = size(x.shape) / size(shape.filter((_, d) => d !== open))
  return [reshaped(x, shape)]
}

/** What moves elements and changes none. */
export const movement: Kernels = {
  Reshape: reshape,
  Flatten: (c) => {
    const x = need(c, 0)
    const given = number(c, 'axis', 1)
    const axis = given < 0 ? given + x.shape.length : given
    return [reshaped(x, [size(x.shape.slice(0, axis)), size(x.shape.slice(axis))])]
  },
  Squeeze: (c) => {
    const x = need(c, 0)
    const axes = either(c, 'axes', 1)?.map((axis) => front(axis, x.shape.length))
    return [
      reshaped(
        x,
        x.shape.filter((n, d) => (axes ? !axes.includes(d) : n !== 1)),
      ),
    ]
  },
  Unsqueeze: (c) => {
    const x = need(c, 0)
    const given = either(c, 'axes', 1)!
    const rank = x.shape.length + given.length
    const axes = given.map((axis) => front(axis, rank))
    const rest = [...x.shape]
    return [
      reshaped(
        x,
        count(rank).map((d) => (axes.includes(d) ? 1 : rest.shift()!)),
      ),
    ]
  },
  Transpose: (c) => {
    const x = need(c, 0)
    const perm = numbers(c, 'perm') ?? count(x.shape.length).reverse()
    const shape = perm.map((axis) => x.shape[axis]!)
    return [
      build(x.kind, shape, (index) => {
        const from = x.shape.map(() => 0)
        perm.forEach((axis, d) => {
          from[axis] = index[d]!
        })
        return at(x, from)
      }),
    ]
  },
  Concat: (c) => {
    const parts = c.inputs.filter((x) => x !== undefined)
    const axis = front(number(c, 'axis', 0), parts[0]!.shape.length)
    const total = parts.reduce((sum, x) => sum + x.shape[axis]!, 0)
    return [
      build(parts[0]!.kind, parts[0]!.shape.with(axis, total), (index) => {
        let n = index[axis]!
        let i = 0
        for (; n >= parts[i]!.shape[axis]!; i++) n -= parts[i]!.shape[axis]!
        return at(parts[i]!, index.with(axis, n))
      }),
    ]
  },
  Split: split,
  Slice: sliced,
  Pad: padded,
  Expand: (c) => {
    const x = need(c, 0)
    return [build(x.kind, together(x.shape, list(need(c, 1))!), (index) => spread(x, index))]
  },
  Tile: (c) => {
    const x = need(c, 0)
    const repeats = list(need(c, 1))!
    const shape = x.shape.map((n, d) => n * repeats[d]!)
    return [
      build(x.kind, shape, (index) =>
        at(
          x,
          index.map((n, d) => n % x.shape[d]!),
        ),
      ),
    ]
  },
  DepthToSpace: (c) => {
    const x = need(c, 0)
    const s = number(c, 'blocksize', 1)
    const [n, channels, h, w] = x.shape as [number, number, number, number]
    const depth = channels / s / s
    const blocksFirst = text(c, 'mode', 'DCR') === 'DCR'
    return [
      build(x.kind, [n, depth, h * s, w * s], ([i, ch, y, z]) => {
        const block = (y! % s) * s + (z! % s)
        const from = blocksFirst ? block * depth + ch! : ch! * s * s + block
        return at(x, [i!, from, Math.floor(y! / s), Math.floor(z! / s)])
      }),
    ]
  },
  SpaceToDepth: (c) => {
    const x = need(c, 0)
    const s = number(c, 'blocksize', 1)
    const [n, channels, h, w] = x.shape as [number, number, number, number]
    return [
      build(x.kind, [n, channels * s * s, h / s, w / s], ([i, ch, y, z]) => {
        const block = Math.floor(ch! / channels)
        return at(x, [i!, ch! % channels, y! * s + Math.floor(block / s), z! * s + (block % s)])
      }),
    ]
  },
  Trilu: (c) => {
    const x = need(c, 0)
    const k = c.inputs[1]?.data[0] ?? 0
    const upper = flag(c, 'upper', 1)
    return [
      build(x.kind, x.shape, (index) => {
        const diagonal = index.at(-1)! - index.at(-2)!
        return (upper ? diagonal >= k : diagonal <= k) ? at(x, index) : 0
      }),
    ]
  },
  EyeLike: (c) => {
    const x = need(c, 0)
    const code = number(c, 'dtype', 0)
    const kind = code === 0 ? x.kind : [1, 10, 11, 16].includes(code) ? 'float' : code === 9 ? 'bool' : 'int'
    return [build(kind, x.shape, ([i, j]) => +(j! - i! === number(c, 'k', 0)))]
  },
  ReverseSequence: (c) => {
    const [x, lengths] = [need(c, 0), need(c, 1)]
    const [batch, time] = [number(c, 'batch_axis', 1), number(c, 'time_axis', 0)]
    return [
      build(x.kind, x.shape, (index) => {
        const length = lengths.data[index[batch]!]!
        const t = index[time]!
        return x.data[offset(x.shape, index.with(time, t < length ? length - 1 - t : t))]!
      }),
    ]
  },
}
