import { PinGoError } from '@pingo/wire'
import type { LoopProgram, ValueSpec } from './protocol.ts'
import type { Admitted } from './screen.ts'

/**
 * Checks that a step graph has the inputs and outputs that its program promises (docstring of `ProgramManifestSchema`), so that a
 * program that does not fit its graph is refused when it is opened and not in the middle of a lease.
 * @throws PinGoError PROGRAM_INVALID
 */
export function checkStepGraph(program: LoopProgram, { model, shapes }: Pick<Admitted, 'model' | 'shapes'>): void {
  const { parameters, buffers, state, feeds, batch, scalars, noise } = program
  const kept = [...parameters, ...buffers, ...state]
  const inputs: ValueSpec[] = [
    ...kept,
    ...feeds.map((feed) => ({ ...feed, shape: [batch, ...feed.shape] })),
    { name: 'sample_weight', dtype: 'float32', shape: [batch] },
    ...scalars.map((name) => ({ name, dtype: 'float32' as const, shape: [] })),
    ...(noise === undefined ? [] : [{ name: 'noise', dtype: 'float32' as const, shape: [noise] }]),
  ]
  const outputs: ValueSpec[] = [
    ...kept.map((spec) => ({ ...spec, name: `next.${spec.name}` })),
    { name: 'loss', dtype: 'float32', shape: [] },
    { name: 'metric_sum', dtype: 'float32', shape: [] },
  ]
  const found = model.graph.outputs.map(({ name }) => ({ name, ...shapes.get(name)! }))
  check('input', inputs, model.graph.inputs)
  check('output', outputs, found)
  const known = new Set(inputs.map(({ name }) => name))
  const foreign = model.graph.inputs.find(({ name }) => !known.has(name))
  if (foreign) throw invalid(`its step graph has the input '${foreign.name}', which nothing feeds`)
}

function check(what: 'input' | 'output', wanted: ValueSpec[], found: readonly ValueSpec[]): void {
  const byName = new Map(found.map((value) => [value.name, value]))
  const seen = new Set<string>()
  for (const { name, dtype, shape } of wanted) {
    if (seen.has(name)) throw invalid(`two ${what}s of its step graph are named '${name}'`)
    seen.add(name)
    const value = byName.get(name)
    if (!value) throw invalid(`its step graph has no ${what} '${name}'`)
    const fits =
      value.dtype === dtype &&
      value.shape.length === shape.length &&
      value.shape.every((n, axis) => typeof n === 'string' || n === shape[axis])
    if (!fits)
      throw invalid(
        `the ${what} '${name}' of its step graph is ${value.dtype} [${value.shape}], the program says ${dtype} [${shape}]`,
      )
  }
}

const invalid = (why: string): PinGoError =>
  new PinGoError('PROGRAM_INVALID', `The training program does not fit together: ${why}.`)
