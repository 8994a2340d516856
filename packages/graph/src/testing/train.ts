import { type OptimizerInput, OptimizerSchema, type Tensor, validate } from '@pingo/wire'
import { optimizerScalars } from '../optimizer.ts'
import type { Program } from '../program.ts'
import { tensorOf } from '../tensors.ts'
import { open } from './runtime.ts'

/** Runs a program's step again and again on one batch; the loss before each step. */
export async function losses(
  program: Program,
  optimizer: OptimizerInput,
  rate: number,
  steps: number,
  data: Record<string, Tensor>,
): Promise<number[]> {
  const scalars = optimizerScalars(validate(OptimizerSchema, optimizer, 'optimizer'))
  const rows = data.target!.shape[0]!
  const state = new Map<string, Tensor>([
    ...program.initial,
    ...program.state.map(({ name, shape }): [string, Tensor] => [name, tensorOf('float32', shape, [])]),
    ['sample_weight', tensorOf('float32', [rows], new Array(rows).fill(1))],
    ...Object.entries(data),
  ])
  const runner = await open(program.step)
  const found: number[] = []
  for (let step = 1; step <= steps; step++) {
    for (const [name, value] of Object.entries(scalars.at(step, rate)))
      state.set(name, tensorOf('float32', [], [value]))
    const result = await runner.run(state)
    found.push(Number(result.get('loss')!.data[0]))
    for (const [name, value] of result) if (name.startsWith('next.')) state.set(name.slice(5), value)
  }
  await runner.close()
  return found
}
