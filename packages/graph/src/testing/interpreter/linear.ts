import { flag, type Kernel, type Kernels, need, number, text } from './kernel.ts'
import { at, build, count, eachIndex, type Ref, reshaped, size, spread, together, zip } from './tensor.ts'

function swapped(x: Ref): Ref {
  const shape = [...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!]
  return build(x.kind, shape, (index) => at(x, [...index.slice(0, -2), index.at(-1)!, index.at(-2)!]))
}

/** [M, …batch, K] as [...batch, M, K]. */
function batchFirst(x: Ref): Ref {
  const [m, ...rest] = x.shape as [number, ...number[]]
  const shape = [...rest.slice(0, -1), m, rest.at(-1)!]
  return build(x.kind, shape, (index) => at(x, [index.at(-2)!, ...index.slice(0, -2), index.at(-1)!]))
}

/** numpy.matmul, one-dimensional operands included. */
function product(a: Ref, b: Ref): Ref {
  const left = a.shape.length === 1 ? reshaped(a, [1, ...a.shape]) : a
  const right = b.shape.length === 1 ? reshaped(b, [...b.shape, 1]) : b
  const [m, k] = left.shape.slice(-2) as [number, number]
  const [k2, n] = right.shape.slice(-2) as [number, number]
  if (k !== k2) throw new Error(`[${a.shape}] and [${b.shape}] have no product`)
  const batch = together(left.shape.slice(0, -2), right.shape.slice(0, -2))
  const matrix = (x: Ref, index: readonly number[]) => {
    const lead = x.shape.slice(0, -2)
    const numbers = { kind: x.kind, shape: lead, data: Float64Array.from(count(size(lead))) }
    return spread(numbers, index) * x.shape.at(-1)! * x.shape.at(-2)!
  }
  const data = new Float64Array(size(batch) * m * n)
  eachIndex(batch, (index, flat) => {
    const [from, to] = [matrix(left, index), matrix(right, index)]
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let l = 0; l < k; l++) sum += left.data[from + i * k + l]! * right.data[to + l * n + j]!
        data[(flat * m + i) * n + j] = sum
      }
  })
  const shape = [...batch, ...(a.shape.length === 1 ? [] : [m]), ...(b.shape.length === 1 ? [] : [n])]
  return { kind: a.kind, shape, data }
}

const scaled = (x: Ref, by: number): Ref => ({ ...x, data: x.data.map((v) => v * by) })

/**
 * Einstein's sum with an ellipsis (broadcast axes), repeated letters in a term (a diagonal) and, without an arrow, the letters that
 * occur once in alphabetical order after the ellipsis.
 */
const einsum: Kernel = (c) => {
  const equation = text(c, 'equation', '').replaceAll(' ', '')
  const operands = c.inputs.map((_, i) => need(c, i))
  const [left, right] = equation.split('->') as [string, string | undefined]
  const terms = left.split(',')
  if (terms.length !== operands.length) throw new Error(`${equation} is for ${terms.length} operands`)
  // Axes of the ellipsis are named by numbers from the right: '0' is the last of them.
  const hiddenOf = (term: string, rank: number) => (term.includes('...') ? rank - term.replace('...', '').length : 0)
  const hidden = Math.max(...terms.map((term, i) => hiddenOf(term, operands[i]!.shape.length)))
  const expanded = (term: string, n: number) =>
    term.includes('...')
      ? [...term.split('...')[0]!, ...count(n).map((i) => `${n - 1 - i}`), ...term.split('...')[1]!]
      : [...term]
  const axes = terms.map((term, i) => expanded(term, hiddenOf(term, operands[i]!.shape.length)))
  const letters = axes.flat().filter((name) => /[a-zA-Z]/.test(name))
  const implied = () => {
    const once = letters.filter((l) => letters.indexOf(l) === letters.lastIndexOf(l)).sort()
    return [...(left.includes('...') ? expanded('...', hidden) : []), ...once]
  }
  const output = right === undefined ? implied() : expanded(right, hidden)
  const sizes = new Map<string, number>()
  axes.forEach((names, i) => {
    if (names.length !== operands[i]!.shape.length) throw new Error(`'${terms[i]}' is for another rank`)
    names.forEach((name, d) => {
      sizes.set(name, together([sizes.get(name) ?? 1], [operands[i]!.shape[d]!])[0]!)
    })
  })
  const summed = [...sizes.keys()].filter((name) => !output.includes(name))
  const shape = output.map((name) => sizes.get(name)!)
  const place = new Map<string, number>()
  const read = (x: Ref, names: readonly string[]) =>
    at(
      x,
      names.map((name, d) => (x.shape[d] === 1 ? 0 : place.get(name)!)),
    )
  return [
    build(operands[0]!.kind, shape, (index) => {
      output.forEach((name, d) => {
        place.set(name, index[d]!)
      })
      let total = 0
      eachIndex(
        summed.map((name) => sizes.get(name)!),
        (inner) => {
          summed.forEach((name, d) => {
            place.set(name, inner[d]!)
          })
          total += operands.reduce((p, x, i) => p * read(x, axes[i]!), 1)
        },
      )
      return total
    }),
  ]
}

/** Products of matrices and tensors. */
export const linear: Kernels = {
  MatMul: (c) => [product(need(c, 0), need(c, 1))],
  // com.microsoft: alpha * A' B', where ' brings the first axis behind the batch axes and then exchanges the last two.
  FusedMatMul: (c) => {
    const [a, b] = (['A', 'B'] as const).map((side, i) => {
      const x = flag(c, `transBatch${side}`) ? batchFirst(need(c, i)) : need(c, i)
      return flag(c, `trans${side}`) ? swapped(x) : x
    }) as [Ref, Ref]
    return [scaled(product(a, b), number(c, 'alpha', 1))]
  },
  Gemm: (c) => {
    const a = flag(c, 'transA') ? swapped(need(c, 0)) : need(c, 0)
    const b = flag(c, 'transB') ? swapped(need(c, 1)) : need(c, 1)
    const y = scaled(product(a, b), number(c, 'alpha', 1))
    const bias = c.inputs[2]
    if (bias && together(y.shape, bias.shape).some((n, i) => n !== y.shape[i]))
      throw new Error(`[${bias.shape}] does not broadcast to [${y.shape}]`)
    return [bias ? zip(y.kind, [y, scaled(bias, number(c, 'beta', 1))], (p, q) => p + q) : y]
  },
  Einsum: einsum,
}
