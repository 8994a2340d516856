import { buildProgram, type Model, parseModel, templates, writeModel } from '@pingo/graph'

export type Random = () => number

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function random(seed: number): Random {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Honest models and steps of training, small. */
export function honest(): Uint8Array[] {
  const mlp = templates.mlp({ inputs: [6], classes: 3, hidden: [8] })
  const step = buildProgram(mlp, {
    loss: 'cross_entropy',
    optimizer: { kind: 'adamw', weightDecay: 0.1, clip: 1 },
    batch: 4,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [6] }],
    target: { name: 'target', column: 'y', dtype: 'int32', shape: [] },
  }).step
  const models = [
    mlp,
    templates.cnn({ shape: [1, 8, 8], classes: 3, channels: [4, 8], dense: 8 }),
    templates.gpt({ vocabulary: 11, context: 8, layers: 1, heads: 2, width: 8 }),
    templates.lstm({ shape: [6, 2], outputs: 3, layers: 1, width: 8 }),
  ]
  return [...models.map(writeModel), step]
}

/** A file with a few bytes changed, cut out, put in, or a piece of it elsewhere again. */
export function byteMutant(whole: Uint8Array, next: Random): Uint8Array {
  let mutant = whole.slice()
  for (let changes = 1 + Math.floor(next() * 4); changes > 0; changes--) {
    const at = Math.floor(next() * mutant.length)
    const length = 1 + Math.floor(next() * 8)
    const way = Math.floor(next() * 6)
    if (way === 0) mutant[at] = Math.floor(next() * 256)
    else if (way === 1) mutant[at]! ^= 1 << Math.floor(next() * 8)
    else if (way === 2) mutant.fill(0xff, at, at + length)
    else if (way === 3) mutant = Uint8Array.from([...mutant.subarray(0, at), ...mutant.subarray(at + length)])
    else {
      const piece =
        way === 4
          ? Uint8Array.from({ length }, () => Math.floor(next() * 256))
          : whole.subarray(Math.floor(next() * whole.length)).subarray(0, 4 * length)
      mutant = Uint8Array.from([...mutant.subarray(0, at), ...piece, ...mutant.subarray(at)])
    }
    if (mutant.length === 0) return mutant
  }
  return mutant
}

const SIZES = [-1, 0, 1, 2, 3, 7, 255, 4096, 65_536, 2 ** 31, 2 ** 32, 2 ** 40]
const OPERATORS = ['Relu', 'Add', 'MatMul', 'Gemm', 'Reshape', 'Transpose', 'Gather', 'Concat', 'Slice', 'Expand', 'Tile', 'Cast', 'Softmax', 'ReduceSum', 'Conv', 'Pad', 'Unsqueeze', 'ScatterND', 'Where', 'Loop', 'If'] // biome-ignore format: a list
const TYPES = ['float32', 'int64', 'int32', 'uint8', 'bool', 'float16', 'float64'] as const

/** A well-formed file whose graph is changed in one to three ways: operators, edges, attributes, sizes, types, weights. */
export function structureMutant(whole: Uint8Array, next: Random): Uint8Array {
  const model = structuredClone(parseModel(whole)) as Model
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!
  const { graph } = model
  const values = [
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]
  const ways: (() => void)[] = [
    () => {
      pick(graph.nodes).op = pick(OPERATORS)
    },
    () => {
      const { inputs } = pick(graph.nodes)
      inputs[Math.floor(next() * inputs.length)] = pick(values)
    },
    () => {
      const { outputs } = pick(graph.nodes)
      outputs[0] = pick(values)
    },
    () => void pick(graph.nodes).inputs.pop(),
    () => void pick(graph.nodes).inputs.push(pick(values)),
    () => {
      const { attributes } = pick(graph.nodes)
      for (const attribute of Object.values(attributes))
        if (attribute.type === 'int') attribute.value = pick(SIZES)
        else if (attribute.type === 'ints')
          attribute.value = attribute.value.map((n) => (next() < 0.5 ? pick(SIZES) : n))
        else if (attribute.type === 'float') attribute.value = pick([Number.NaN, Number.POSITIVE_INFINITY, -1e38, 0])
    },
    () => {
      pick(graph.nodes).attributes[pick(['axis', 'axes', 'perm', 'keepdims', 'to', 'alpha'])] = {
        type: 'int',
        value: pick(SIZES),
      }
    },
    () => {
      const input = pick(graph.inputs) as { shape: (number | string)[] }
      input.shape = [...input.shape].map((n) => (next() < 0.5 ? pick(SIZES.slice(1)) : n))
    },
    () => {
      Object.assign(pick(graph.inputs), { dtype: pick(TYPES) })
    },
    () => {
      const weight = graph.initializers.get(pick([...graph.initializers.keys()]))!
      if (weight.data instanceof BigInt64Array) weight.data.set(weight.data.map(() => BigInt(pick(SIZES))))
      else if (weight.data instanceof Float32Array) weight.data.fill(pick([Number.NaN, 3e38, 0]))
    },
    () => void graph.nodes.splice(Math.floor(next() * graph.nodes.length), 1),
    () => void graph.nodes.push(structuredClone(pick(graph.nodes))),
    () => void graph.nodes.reverse(),
    () => void graph.initializers.delete(pick([...graph.initializers.keys()])),
  ]
  for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) if (graph.nodes.length > 0) pick(ways)()
  return writeModel(model)
}
