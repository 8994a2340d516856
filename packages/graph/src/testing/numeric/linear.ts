import { float, int, string } from '../../model.ts'
import type { Draw, Generator, Generators } from './draw.ts'

/** Batch axes that broadcast. */
function batches(d: Draw): [number[], number[]] {
  const [a, b] = d.together(2, 2)
  return [a!, b!]
}

const matmul: Generator = (d) => {
  const [m, k, n] = [d.int(1, 3), d.int(1, 4), d.int(1, 3)]
  const kind = d.int(0, 5)
  if (kind === 0) return { op: 'MatMul', inputs: [d.real([k]), d.real([k])] }
  const [a, b] = batches(d)
  if (kind === 1) return { op: 'MatMul', inputs: [d.real([k]), d.real([...b, k, n])] }
  if (kind === 2) return { op: 'MatMul', inputs: [d.real([...a, m, k]), d.real([k])] }
  // A weight without batch axes is the common case.
  if (kind === 3) return { op: 'MatMul', inputs: [d.real([...a, m, k]), d.real([k, n])] }
  return { op: 'MatMul', inputs: [d.real([...a, m, k]), d.real([...b, k, n])] }
}

const fused: Generator = (d) => {
  const [m, k, n] = [d.int(1, 3), d.int(1, 4), d.int(1, 3)]
  const [transA, transB] = [d.flag(), d.flag()]
  const [p, q] = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n]] as [number[], number[]]
  const attributes = { transA: int(+transA), transB: int(+transB), alpha: float(d.pick(1, -0.5, 2)) }
  if (d.flag()) {
    const [a, b] = batches(d)
    return { op: 'FusedMatMul', inputs: [d.real([...a, ...p]), d.real([...b, ...q])], attributes }
  }
  const batch = d.pick([2], [1], [2, 3], [3, 1, 2])
  const [batchA, batchB] = d.pick([true, true], [true, false], [false, true])
  const lying = ([row, column]: number[], first: boolean) =>
    d.real(first ? [row!, ...batch, column!] : [...batch, row!, column!])
  return {
    op: 'FusedMatMul',
    inputs: [lying(p, batchA), lying(q, batchB)],
    attributes: { ...attributes, transBatchA: int(+batchA), transBatchB: int(+batchB) },
  }
}

const gemm: Generator = (d) => {
  const [m, k, n] = [d.int(1, 3), d.int(1, 4), d.int(1, 3)]
  const [transA, transB] = [d.flag(), d.flag()]
  const bias = d.pick(undefined, [], [1], [n], [1, n], [m, 1], [m, n], [1, 1])
  return {
    op: 'Gemm',
    inputs: [
      d.real(transA ? [k, m] : [m, k]),
      d.real(transB ? [n, k] : [k, n]),
      bias && (d.int(0, 4) ? d.real(bias) : d.fixed(bias)),
    ],
    attributes: {
      ...(transA || d.flag() ? { transA: int(+transA) } : {}),
      ...(transB || d.flag() ? { transB: int(+transB) } : {}),
      ...(d.flag() ? { alpha: float(d.pick(0.5, -1.5)) } : {}),
      ...(d.flag() ? { beta: float(d.pick(0.5, -1.5)) } : {}),
    },
  }
}

const EQUATIONS = [
  'ij,jk->ik',
  'ij,jk',
  'ij,jk->ki',
  'bij,bjk->bik',
  'bij,bjk->bk',
  'bhid,bhjd->bhij',
  'i,j->ij',
  'i,i->',
  'i,i',
  'ij->ji',
  'ij->i',
  'ij->',
  'ij,ij->ij',
  'ij,kl->il',
  'ba,cb,dc->da',
  '...i,ij->...j',
  '...i, ji -> ...j',
  '...ij,...jk->...ik',
  '...i,...i',
  'b...i,bi->b...',
  'i...->...',
  'i...,i...->i...',
  '...ij->...ji',
  'ij,i->j',
  'ii->i',
  'ii',
  'iij,j->i',
]

/** Letters get sizes; an ellipsis axes that broadcast. */
const einsum: Generator = (d) => {
  const equation = d.pick(...EQUATIONS)
  const terms = equation.split('->')[0]!.replaceAll(' ', '').split(',')
  const sizes = new Map<string, number>()
  const sizeOf = (letter: string) => {
    if (!sizes.has(letter)) sizes.set(letter, d.int(1, 3))
    return sizes.get(letter)!
  }
  const wide = d.shape(0, 2, 3)
  const shapes = terms.map((term) => {
    const [before, after] = term.split('...')
    const batch = after === undefined ? [] : terms.length > 1 ? d.narrower(wide) : wide
    return [...[...before!].map(sizeOf), ...batch, ...[...(after ?? '')].map(sizeOf)]
  })
  // The output's ellipsis must be that of some operand in full.
  return { op: 'Einsum', inputs: shapes.map((shape) => d.real(shape)), attributes: { equation: string(equation) } }
}

/** Products of matrices and tensors. */
export const linear: Generators = { MatMul: matmul, FusedMatMul: fused, Gemm: gemm, Einsum: einsum }
