import { type Call, flag, type Kernels, need, number, text } from './kernel.ts'
import { along } from './reduction.ts'
import { at, build, count, type Ref, size, spread } from './tensor.ts'

/** [B, S, H·D] as [B, H, S, D]. */
function heads(x: Ref, n: number): Ref {
  if (x.shape.length === 4) return x
  const [batch, length, width] = x.shape as [number, number, number]
  const each = width / n
  return build('float', [batch, n, length, each], ([b, h, s, d]) => at(x, [b!, s!, h! * each + d!]))
}

/** Attention (opset 23): softmax(softcap(scale Q Kᵀ + mask)) V, fewer heads of keys shared by groups of queries' heads. */
function attention(c: Call): Ref[] {
  const queryHeads = number(c, 'q_num_heads', 0)
  const keyHeads = number(c, 'kv_num_heads', queryHeads)
  const flat = need(c, 0).shape.length === 3
  const [q, k, v] = [heads(need(c, 0), queryHeads), heads(need(c, 1), keyHeads), heads(need(c, 2), keyHeads)]
  const [batch, n, length, width] = q.shape as [number, number, number, number]
  const keys = k.shape[2]!
  const shared = n / k.shape[1]!
  const scale = number(c, 'scale', 1 / Math.sqrt(width))
  const cap = number(c, 'softcap', 0)
  const mask = c.inputs[3]
  const scores = build('float', [batch, n, length, keys], (index) => {
    const [b, h, i, j] = index as [number, number, number, number]
    let sum = 0
    for (let d = 0; d < width; d++) sum += at(q, [b, h, i, d]) * at(k, [b, Math.floor(h / shared), j, d])
    let score = scale * sum
    if (mask) {
      const value = spread(mask, index)
      if (mask.kind === 'bool') score += value ? 0 : Number.NEGATIVE_INFINITY
      else score += value
    }
    if (flag(c, 'is_causal') && j > i) score = Number.NEGATIVE_INFINITY
    return cap > 0 ? cap * Math.tanh(score / cap) : score
  })
  const top = along(scores, [3], true, (values) => Math.max(...values))
  const total = along(scores, [3], true, (values) => {
    const highest = Math.max(...values)
    return values.reduce((s, x) => s + Math.exp(x - highest), 0)
  })
  const depth = v.shape[3]!
  const y = build('float', [batch, n, length, depth], ([b, h, i, d]) => {
    let sum = 0
    for (let j = 0; j < keys; j++) {
      const p = Math.exp(at(scores, [b!, h!, i!, j]) - at(top, [b!, h!, i!, 0])) / at(total, [b!, h!, i!, 0])
      sum += p * at(v, [b!, Math.floor(h! / shared), j, d!])
    }
    return sum
  })
  return [
    flat
      ? build('float', [batch, length, n * depth], ([b, s, w]) => at(y, [b!, Math.floor(w! / depth), s!, w! % depth]))
      : y,
  ]
}

/** RotaryEmbedding (opset 23): pairs of each head turned by the angles of their positions. */
function rotary(c: Call): Ref[] {
  const [x, cos, sin, ids] = [need(c, 0), need(c, 1), need(c, 2), c.inputs[3]]
  const flat = x.shape.length === 3
  const n = number(c, 'num_heads', 0)
  const wide = flat ? heads(x, n) : x
  const width = wide.shape[3]!
  const dims = number(c, 'rotary_embedding_dim', 0) || width
  const half = dims / 2
  const interleaved = flag(c, 'interleaved')
  const angle = (cache: Ref, b: number, s: number, i: number) =>
    ids ? at(cache, [at(ids, [b, s]), i]) : at(cache, [b, s, i])
  const y = build('float', wide.shape, (index) => {
    const [b, h, s, d] = index as [number, number, number, number]
    if (d >= dims) return at(wide, index)
    const i = interleaved ? Math.floor(d / 2) : d % half
    const [first, second] = interleaved ? [2 * i, 2 * i + 1] : [i, i + half]
    const [re, im] = [at(wide, [b, h, s, first]), at(wide, [b, h, s, second])]
    const [p, q] = [angle(cos, b, s, i), angle(sin, b, s, i)]
    return d === first ? p * re - q * im : q * re + p * im
  })
  if (!flat) return [y]
  return [build('float', x.shape, ([b, s, w]) => at(y, [b!, Math.floor(w! / width), s!, w! % width]))]
}

/** The negative log-likelihood of labels [N, …] under log-probabilities [N, C, …], reduced. */
function likelihood(c: Call, logp: Ref, labels: Ref, weight: Ref | undefined): Ref {
  const ignored = c.attributes.ignore_index?.value as number | undefined
  const share = labels.data.map((label) => (label === ignored ? 0 : (weight?.data[label] ?? 1)))
  const each = build('float', labels.shape, (index) => {
    const label = at(labels, index)
    return label === ignored ? 0 : -at(logp, [index[0]!, label, ...index.slice(1)])
  })
  const losses = each.data.map((value, i) => value * share[i]!)
  const reduction = text(c, 'reduction', 'mean')
  if (reduction === 'none') return { ...each, data: losses }
  const sum = (values: Float64Array) => values.reduce((a, x) => a + x, 0)
  const whole = reduction === 'sum' ? sum(losses) : sum(losses) / sum(share)
  return { kind: 'float', shape: [], data: Float64Array.of(whole) }
}

/** Attention, rotary embeddings, and the losses that are operators. */
export const attentions: Kernels = {
  Attention: attention,
  RotaryEmbedding: rotary,
  NegativeLogLikelihoodLoss: (c) => [likelihood(c, need(c, 0), need(c, 1), c.inputs[2])],
  SoftmaxCrossEntropyLoss: (c) => {
    const scores = need(c, 0)
    const [batch, classes] = scores.shape as [number, number]
    const inner = size(scores.shape.slice(2))
    const logp = new Float64Array(scores.data.length)
    for (const n of count(batch))
      for (const i of count(inner)) {
        const places = count(classes).map((k) => (n * classes + k) * inner + i)
        const top = Math.max(...places.map((p) => scores.data[p]!))
        const sum = places.reduce((s, p) => s + Math.exp(scores.data[p]! - top), 0)
        for (const p of places) logp[p] = scores.data[p]! - top - Math.log(sum)
      }
    const rows: Ref = { ...scores, data: logp }
    return [likelihood(c, rows, need(c, 1), c.inputs[2]), rows]
  },
}
