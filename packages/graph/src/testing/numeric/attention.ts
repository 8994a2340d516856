import { float, int, string } from '../../model.ts'
import { tensorOf } from '../../tensors.ts'
import type { Draw, Generator, Generators, Operand } from './draw.ts'

/** A mask that leaves every query something to look at. */
function mask(d: Draw, shape: number[]): Operand {
  if (d.flag()) return d.real(shape)
  const width = shape.at(-1)!
  const total = shape.reduce((p, n) => p * n, 1)
  const values = Array.from({ length: total }, (_, i) => (i % width === 0 ? 1 : +d.flag()))
  return { role: d.flag() ? 'input' : 'constant', tensor: tensorOf('bool', shape, values) }
}

const attention: Generator = (d) => {
  const [B, S, T, D, V] = [d.int(1, 2), d.int(1, 3), d.int(1, 3), d.int(1, 3), d.int(1, 3)]
  const keyHeads = d.int(1, 2)
  const queryHeads = keyHeads * d.int(1, 2)
  const flat = d.flag()
  const tensor = (heads: number, length: number, width: number) =>
    d.real(flat ? [B, length, heads * width] : [B, heads, length, width])
  const masked = d.int(0, 2) === 0
  const causal = d.int(0, 2) === 0
  const shape = d.pick([S, T], [1, 1, S, T], [B, queryHeads, S, T])
  return {
    op: 'Attention',
    opset: 23,
    inputs: [
      tensor(queryHeads, S, D),
      tensor(keyHeads, T, D),
      tensor(keyHeads, T, V),
      ...(masked ? [mask(d, shape)] : []),
    ],
    attributes: {
      ...(flat ? { q_num_heads: int(queryHeads), kv_num_heads: int(keyHeads) } : {}),
      ...(causal ? { is_causal: int(1) } : {}),
      ...(d.int(0, 2) ? {} : { scale: float(0.75) }),
      ...(!masked && !causal && d.int(0, 2) === 0 ? { softcap: float(1.5) } : {}),
    },
  }
}

const rotary: Generator = (d) => {
  const [B, H, S, half] = [d.int(1, 2), d.int(1, 2), d.int(1, 3), d.int(1, 2)]
  const rest = d.int(0, 1) ? 0 : d.int(1, 2)
  const width = 2 * half + rest
  const flat = d.flag()
  const byIds = d.flag()
  const positions = d.int(1, 4)
  const cache = byIds ? [positions, half] : [B, S, half]
  return {
    op: 'RotaryEmbedding',
    opset: 23,
    inputs: [
      d.real(flat ? [B, S, H * width] : [B, H, S, width]),
      d.real(cache),
      d.real(cache),
      ...(byIds ? [d.whole([B, S], 0, positions - 1)] : []),
    ],
    attributes: {
      ...(d.flag() ? { interleaved: int(+d.flag()) } : {}),
      ...(flat ? { num_heads: int(H) } : {}),
      ...(rest ? { rotary_embedding_dim: int(2 * half) } : {}),
    },
  }
}

const likelihood =
  (op: string): Generator =>
  (d) => {
    const [N, C] = [d.int(1, 3), d.int(2, 4)]
    const inner = d.shape(0, 2, 3)
    const labels = d.whole([N, ...inner], 0, C - 1)
    const ignored = d.int(0, 2) === 0 ? d.int(0, C - 1) : undefined
    // At least one label counts, so that the mean is one.
    const values = Array.from(labels.tensor.data as BigInt64Array, Number)
    values[0] = ignored === undefined ? values[0]! : (ignored + 1) % C
    return {
      op,
      opset: 13,
      outputs: op === 'SoftmaxCrossEntropyLoss' ? d.int(1, 2) : 1,
      inputs: [
        d.real([N, C, ...inner]),
        { ...labels, tensor: tensorOf('int64', labels.tensor.shape, values) },
        d.flag() ? d.fixed([C], { low: 0.5, high: 2 }) : undefined,
      ],
      attributes: {
        ...(ignored === undefined ? {} : { ignore_index: int(ignored) }),
        ...(d.flag() ? { reduction: string(d.pick('mean', 'sum', 'none')) } : {}),
      },
    }
  }

/** Attention, rotary embeddings, and the losses that are operators. */
export const attentions: Generators = {
  Attention: attention,
  RotaryEmbedding: rotary,
  SoftmaxCrossEntropyLoss: likelihood('SoftmaxCrossEntropyLoss'),
  NegativeLogLikelihoodLoss: likelihood('NegativeLogLikelihoodLoss'),
}
