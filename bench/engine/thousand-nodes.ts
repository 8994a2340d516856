import { type Model, type Node, type ProgramOptions, templates } from '@pingo/graph'

/** A GPT deep enough to have a thousand nodes and more, with small tensors: what counts is their number. */
export function thousandNodes(): { model: Model; options: ProgramOptions; nodes: number } {
  const options: ProgramOptions = {
    loss: 'cross_entropy',
    optimizer: { kind: 'adamw' },
    batch: 2,
    inputs: [{ name: 'input', column: 'input', dtype: 'int32', shape: [16] }],
    target: { name: 'target', column: 'target', dtype: 'int32', shape: [16] },
  }
  for (let layers = 24; ; layers++) {
    const model = templates.gpt({ vocabulary: 32, context: 16, layers, heads: 2, width: 16 })
    const nodes = (model.graph.nodes as Node[]).length
    if (nodes >= 1000) return { model, options, nodes }
  }
}
