import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildGradients, type Model, type Node, parseModel, templates } from './index.ts'
import { intOf, intsOf } from './model.ts'
import { fixture } from './testing/fixture.ts'

const HEADS = 4

const readsThrough = ({ attributes }: Node) =>
  ['transBatchA', 'transBatchB'].some((name) => intOf(attributes, name, 0) === 1)
/** Products that read through a cut into heads, and cuts that are made: transpositions of four axes and more. */
function counts(nodes: readonly Node[]) {
  const cuts = nodes.filter(({ op, attributes }) => op === 'Transpose' && intsOf(attributes, 'perm')!.length >= 4)
  return { through: nodes.filter(readsThrough).length, cuts: cuts.length }
}

const gradientsOf = (model: Model, batch: number, context: number) =>
  parseModel(
    buildGradients(model, {
      loss: 'cross_entropy',
      batch,
      inputs: [{ name: 'input', column: 'x', dtype: 'int32', shape: [context] }],
      target: { name: 'target', column: 'y', dtype: 'int32', shape: [context] },
    }).graph,
  ).graph.nodes

test('a GPT joins heads once forward, and once for each of queries, keys, values and the sums of their softmax backward', () => {
  const model = templates.gpt({ vocabulary: 11, context: 6, layers: 3, heads: HEADS, width: 8 })
  const { through, cuts } = counts(gradientsOf(model, 5, 6))
  assert.equal(cuts, 3 * 5)
  // Forward the scores and what is mixed; backward both factors of each.
  assert.equal(through, 3 * 6)
})

test('with one sample there is nothing to lay out otherwise', () => {
  const model = templates.gpt({ vocabulary: 11, context: 6, layers: 1, heads: HEADS, width: 8 })
  assert.equal(counts(gradientsOf(model, 1, 6)).through, 0)
})

for (const [name, least] of Object.entries({ gpt: 12, gpt_opset17: 6, vit: 10, encoder: 10 }))
  test(`the heads of PyTorch's ${name} are read through`, () => {
    const { model, options, training } = fixture(name)
    const { nodes } = parseModel(buildGradients(model, options, training).graph).graph
    assert.ok(counts(nodes).through >= least)
  })
