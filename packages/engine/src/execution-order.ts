import type { Model } from '@pingo/graph'

/**
 * The same model, written so that ONNX Runtime runs its nodes in the order of the file. The runtime walks a graph depth first from its
 * outputs, of two branches the later node's first. A training step written in its own order therefore runs all weight gradients at
 * the end, when activations have left the caches and none could be freed; written backwards, it runs as it was meant.
 */
export function inOrder(model: Model): Model {
  return { ...model, graph: { ...model.graph, nodes: model.graph.nodes.toReversed() } }
}
