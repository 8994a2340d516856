import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { sequenceOperators } from '../control-flow.ts'
import { MAX_OPSET, MIN_OPSET } from '../model.ts'
import type { Operator } from '../operator.ts'
import { contribOperators, operators } from './index.ts'

/** The table of operators: `node packages/graph/src/operators/publish-table.ts` writes it anew. */
export const PUBLISHED_TABLE = fileURLToPath(new URL('../../../../docs/operators.md', import.meta.url))

/** Operator sets in which operators came to ONNX, where that is after the oldest that is read (onnx/docs/Changelog.md). */
const SINCE: Readonly<Record<string, number>> = {
  AffineGrid: 20,
  Attention: 23,
  Bernoulli: 15,
  BitwiseAnd: 18,
  BitwiseNot: 18,
  BitwiseOr: 18,
  BitwiseXor: 18,
  CastLike: 15,
  Celu: 12,
  CenterCropPad: 18,
  Col2Im: 18,
  Einsum: 12,
  Gelu: 20,
  GreaterOrEqual: 12,
  GridSample: 16,
  GroupNormalization: 18,
  HardSwish: 14,
  LayerNormalization: 17,
  LessOrEqual: 12,
  Mish: 18,
  NegativeLogLikelihoodLoss: 12,
  RMSNormalization: 23,
  RotaryEmbedding: 23,
  SoftmaxCrossEntropyLoss: 12,
  Trilu: 14,
}

/** What a user should know of an operator. */
export const NOTES: Readonly<Record<string, string>> = {
  BatchNormalization: "Training uses the batch's statistics and moves the running ones; evaluation uses these.",
  Cast: 'The gradient stops at integers.',
  Clip: 'The slope is 0 where it cuts; bounds get the gradient there.',
  Dropout: "Active in training, by numbers that follow from the job's seed.",
  Gather: 'Embeddings; padding_idx is not in the file, so its row is trained.',
  GRU: 'Unrolled over time: the length must be known.',
  If: 'The condition must be a constant: one branch is put in its place.',
  Loop: 'The number of rounds must be known: it is unrolled.',
  LSTM: 'Unrolled over time: the length must be known.',
  Resize: 'nearest, linear and cubic; sizes and scales must be constants.',
  RNN: 'Unrolled over time: the length must be known.',
  SimplifiedLayerNormalization: "As ONNX Runtime's exporters write it, in ONNX's own domain.",
  TopK: 'Through the values; the indices have no slope.',
}

/** Handled by the translation of a graph, not by a rule. */
const STRUCTURE: Readonly<Record<string, Operator>> = Object.fromEntries(
  ['If', 'Loop', ...Object.keys(sequenceOperators)].map((name) => [name, { lower: () => [] }]),
)

function gradientOf(name: string, rule: Operator): string {
  if (rule.stopsGradient) return 'none: its slope is 0'
  // Translated into others, or taken away as Identity is.
  return rule.gradient || !rule.infer || name === 'Identity' ? 'yes' : 'no'
}

/** docs/operators.md. */
export function operatorsPage(): string {
  const row = (name: string, rule: Operator, opsets: string) =>
    `| ${name} | yes | ${gradientOf(name, rule)} | ${opsets} | ${NOTES[name] ?? ''} |\n`
  const own = [...operators, ...Object.entries(STRUCTURE)].filter(([name]) => name !== 'FusedMatMul')
  const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1)
  const rows = own.toSorted(byName).map(([name, rule]) => {
    const contrib = name === 'SimplifiedLayerNormalization'
    return row(name, rule, contrib ? '–' : `${SINCE[name] ?? MIN_OPSET}–${MAX_OPSET}`)
  })
  const theirs = [...contribOperators].toSorted(byName).map(([name, rule]) => row(name, rule, 'com.microsoft'))
  const head = '| operator | forward | gradient | opsets | note |\n| --- | --- | --- | --- | --- |\n'
  return `# Operators

What a model that PinGo trains may be made of: ${own.length} operators of ONNX (opset ${MIN_OPSET} to ${MAX_OPSET}) and ${theirs.length} of ONNX Runtime's own domain.
\`pingo graph check model.onnx\` says which nodes of a model are not among them, and what to write instead. Functions that a model defines itself
are put in the place of their calls. Written by \`node packages/graph/src/operators/publish-table.ts\`.

Gradients are compared with central differences in double precision and, in whole models, with PyTorch's.

${head}${rows.join('')}
## ONNX Runtime's own

${head}${theirs.join('')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PUBLISHED_TABLE, operatorsPage())
