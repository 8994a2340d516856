import { buildProgram, type Program, type ProgramOptions } from '@pingo/graph'
import { sizeOf } from '@pingo/wire'
import type { TrainBatch, TrainerProgram } from '../trainer.ts'
import type { BenchmarkModel } from './benchmark-models.ts'
import { hashed, streamOf, uniform } from './hashed.ts'

/** How far a class's pattern stands out of the noise, in rows of numbers and in images: a loss falls over tens of steps, not at once. */
const SIGNAL = { row: 0.1, image: 0.25 }
/** Neighbours along a row share a value of the pattern, so that convolutions can see it. */
const RUN = 4
/** The next token is one of this many, by a rule on the last one: the loss can fall to ln 4. */
const CHOICES = 4

/** The training program of a benchmark model, as the engine takes it. */
export function benchmarkProgram(
  benchmark: BenchmarkModel,
  plan: Pick<ProgramOptions, 'accumulate' | 'memory'> = {},
): Program & TrainerProgram {
  const { model, loss, optimizer, batch, inputs, target } = benchmark
  return { ...buildProgram(model, { loss, optimizer, batch, inputs, target, ...plan }), optimizer, batch }
}

/** A program's initial parameters or buffers as a flat vector, in their order. */
export function initialOf(program: Program, which: 'parameters' | 'buffers' = 'parameters'): Float32Array {
  const flat = new Float32Array(program[which].reduce((sum, { shape }) => sum + sizeOf(shape), 0))
  let at = 0
  for (const { name, shape } of program[which]) {
    flat.set(program.initial.get(name)!.data as Float32Array, at)
    at += sizeOf(shape)
  }
  return flat
}

/** Batch `i` of an endless stream of samples that no two batches share; the same in every language (see hashed.ts). */
export function benchmarkBatch(benchmark: BenchmarkModel, i: number): TrainBatch {
  const { batch, inputs, target, classes } = benchmark
  const [input] = inputs
  const tensors =
    input!.dtype === 'float32'
      ? labelled(i * batch, batch, input!.shape, classes)
      : sequences(i * batch, batch, input!.shape[0]!, classes)
  return { samples: batch, tensors: { [input!.name]: tensors.input, [target.name]: tensors.target } }
}

/** Each class has a fixed pattern of values in [-1, 1); a sample is noise of that size and a share of its class's pattern. */
function labelled(first: number, count: number, shape: number[], classes: number) {
  const signal = shape.length === 1 ? SIGNAL.row : SIGNAL.image
  const pixels = sizeOf(shape)
  const [labels, patterns, noise] = [streamOf('labels'), streamOf('patterns'), streamOf('noise')]
  const input = new Float32Array(count * pixels)
  const target = new Int32Array(count)
  for (let n = 0; n < count; n++) {
    const label = hashed(labels, first + n) % classes
    target[n] = label
    for (let p = 0; p < pixels; p++)
      input[n * pixels + p] =
        signal * uniform(patterns, label * pixels + Math.floor(p / RUN)) + uniform(noise, (first + n) * pixels + p)
  }
  return { input, target }
}

/** Token t + 1 is 3t + 7 and a number below {@link CHOICES} drawn anew, modulo the vocabulary; targets are the next tokens. */
function sequences(first: number, count: number, context: number, vocabulary: number) {
  const draws = streamOf('draws')
  const input = new Int32Array(count * context)
  const target = new Int32Array(count * context)
  for (let n = 0; n < count; n++) {
    const at = (first + n) * (context + 1)
    let token = hashed(draws, at) % vocabulary
    for (let t = 0; t < context; t++) {
      input[n * context + t] = token
      token = (3 * token + 7 + (hashed(draws, at + t + 1) % CHOICES)) % vocabulary
      target[n * context + t] = token
    }
  }
  return { input, target }
}
