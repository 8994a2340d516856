import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { BatchGradients } from '@pingo/graph'
import {
  LOSS_KINDS,
  type LossInput,
  LossSchema,
  lossKindOf,
  PinGoError,
  readSafetensors,
  sizeOf,
  type Tensor,
  writeSafetensors,
} from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type Context, command, type JsonOption } from '../../context.ts'
import { figure, whole } from '../../format.ts'
import { Output } from '../../output.ts'
import { writeBytes } from '../../whole-file.ts'

/** Largest batch file, bytes. */
const MAX_BATCH_FILE_BYTES = 1 << 30

interface GradOptions extends JsonOption {
  batch: string
  loss: string
  out: string
  training?: boolean
  eval?: boolean
  output?: string
}

export function gradCommand({ signal }: Context): Command {
  return command('grad', "Compute a model's loss on one batch and the loss's gradient by every weight.", [
    'pingo graph grad model.onnx --batch batch.safetensors --loss cross_entropy --out gradients.safetensors',
    'pingo graph grad model.onnx --batch batch.safetensors --loss mse --out gradients.safetensors --eval --json',
  ])
    .argument('<model>', 'an .onnx file')
    .requiredOption(
      '--batch <file>',
      'safetensors with `input` (or one tensor for each input of the model, by its name), `target` and, if samples count differently, `sample_weight`',
    )
    .requiredOption('--loss <kind>', `${LOSS_KINDS.join(', ')}; or JSON of its settings as in a job file`)
    .requiredOption('--out <file>', 'safetensors to write: `loss`, `output` and `grad.<weight>`')
    .option('--output <name>', "the model's output that the loss is taken on (default: the first)")
    .addOption(
      new Option(
        '--training',
        'batch normalisation by the statistics of this batch (default: as the file says)',
      ).conflicts('eval'),
    )
    .addOption(new Option('--eval', 'batch normalisation by the running statistics (default: as the file says)'))
    .addHelpText(
      'after',
      '\nWeights are named as in the file. Dropout passes its input through. The loss is the mean over the samples.',
    )
    .action((model: string, options: GradOptions) => grad(model, options, signal))
}

async function grad(path: string, options: GradOptions, signal: AbortSignal): Promise<void> {
  const say = new Output(options)
  const loss = lossFrom(options.loss)
  const { readModelBytes } = await import('@pingo/client')
  const { buildBatchGradients, castTensor, parseModel, storable } = await import('@pingo/graph')
  const { Engine } = await import('@pingo/engine')
  const model = parseModel(await readModelBytes(path))
  const given = await readBatch(options.batch)
  const fed = new Map([...given].map(([name, t]) => [name, storable(t)]))
  const weight = fed.get('sample_weight')
  const inputNames = new Set(model.graph.inputs.map(({ name }) => name))
  const target = fed.get('target')
  if (!target && lossKindOf(loss) !== 'output')
    throw batchFault(`The batch ${options.batch} has no tensor 'target'.`, `It has ${listed(given.keys())}.`)
  const inputs = [...fed].filter(([name]) => inputNames.has(name) || (name !== 'target' && name !== 'sample_weight'))
  for (const [name, t] of fed) checkFinite(name, t)
  const built = buildBatchGradients(model, {
    loss,
    inputs: inputs.map(([name, t]) => ({ name, ...t })),
    target: target && specOf('target', target),
    samples: weight && sizeOf(weight.shape),
    output: options.output,
    training: options.training ? true : options.eval ? false : 'file',
  })
  await using engine = await Engine.start({ signal })
  const session = await engine.open(built.graph)
  const feeds: Record<string, Tensor> = Object.fromEntries(built.initial)
  for (const [input, name] of built.feeds) feeds[input] = shaped(fed.get(name)!, session.inputs, input)
  // Of the loss `output` nothing reads it.
  feeds.target = target ? shaped(target, session.inputs, 'target') : weightsFor(undefined, built.samples, castTensor)
  feeds.sample_weight = weightsFor(weight, built.samples, castTensor)
  const used = Object.fromEntries(session.inputs.map(({ name }) => [name, feeds[name]!]))
  const results = await session.run(used, undefined, signal)
  const gradients = built.parameters.map(({ name }) => [`grad.${name}`, results[`grad.${name}`]!] as const)
  await writeBytes(
    options.out,
    writeSafetensors([['loss', results.loss!], ['output', results.output!], ...gradients], { format: 'pt' }),
  )
  report(say, path, options, built, results)
}

function report(
  say: Output,
  path: string,
  options: GradOptions,
  built: BatchGradients,
  results: Record<string, Tensor>,
): void {
  const norms = Object.fromEntries(built.parameters.map(({ name }) => [name, norm(results[`grad.${name}`]!)]))
  const notes = [...built.notes]
  const broken = Object.keys(norms).filter((name) => !Number.isFinite(norms[name]))
  const loss = Number(results.loss!.data[0])
  if (!Number.isFinite(loss)) notes.push(`The loss is ${loss}.`)
  if (broken.length) notes.push(`Gradients that hold NaN or infinity: ${listed(broken.slice(0, 5))}.`)
  if (built.without.length)
    notes.push(`Without a gradient, because the loss does not depend on them: ${listed(built.without.slice(0, 20))}.`)
  const total = Math.hypot(...Object.values(norms))
  const summary = {
    loss,
    output: { name: built.output, shape: results.output!.shape },
    gradients: built.parameters.length,
    norm: total,
    norms,
    batchNormalization: built.training ? 'training' : 'eval',
    without: built.without,
    notes,
    out: options.out,
  }
  say.result(summary, () => {
    const row = (name: string, value: string) => say.say(`${say.colour.dim(name.padEnd(12))}${value}`)
    row('model', basename(path))
    row('loss', figure(loss))
    row('output', `${built.output} [${results.output!.shape}]`)
    const numbers = built.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    row('gradients', `${built.parameters.length} tensors, ${whole(numbers)} numbers, norm ${figure(total)}`)
    row('written to', options.out)
    for (const note of notes) say.say(`note: ${note}`)
  })
}

function lossFrom(text: string): LossInput {
  let value: unknown = text
  try {
    if (text.trimStart().startsWith('{')) value = JSON.parse(text)
  } catch (cause) {
    throw new PinGoError('USAGE', 'The settings given with --loss are not JSON.', {
      cause,
      hint: 'Quote them for the shell.',
    })
  }
  const parsed = LossSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new PinGoError('USAGE', `There is no loss '${text.slice(0, 100)}'.`, {
    hint: `Choose one of ${LOSS_KINDS.join(', ')}.`,
  })
}

const batchFault = (message: string, hint: string) => new PinGoError('BATCH_INVALID', message, { hint })

async function readBatch(path: string): Promise<Map<string, Tensor>> {
  const { size } = await stat(path)
  if (size > MAX_BATCH_FILE_BYTES)
    throw batchFault(`The batch ${path} has ${size} bytes; up to 1 GiB is read.`, 'Use fewer samples.')
  const { tensors } = readSafetensors(await readFile(path))
  for (const [name, t] of tensors)
    if (sizeOf(t.shape) === 0)
      throw batchFault(`The tensor '${name}' of the batch is empty.`, 'Give at least one sample.')
  return tensors
}

function checkFinite(name: string, { dtype, data }: Tensor): void {
  if (dtype !== 'float32') return
  const at = (data as Float32Array).findIndex((x) => !Number.isFinite(x))
  if (at >= 0)
    throw batchFault(
      `The tensor '${name}' of the batch holds ${data[at]} at element ${at}.`,
      'Clean the data: a gradient of it would be NaN too.',
    )
}

/** The tensor in the shape of the graph's input, which has as many elements. */
function shaped(
  tensor: Tensor,
  inputs: readonly { name: string; shape: readonly (number | string)[] }[],
  name: string,
): Tensor {
  const shape = inputs.find((input) => input.name === name)?.shape
  return shape?.every((n) => typeof n === 'number') ? { ...tensor, shape: shape as number[] } : tensor
}

function weightsFor(
  given: Tensor | undefined,
  samples: number,
  cast: (tensor: Tensor, dtype: 'float32') => Tensor,
): Tensor {
  if (!given) return { dtype: 'float32', shape: [samples], data: new Float32Array(samples).fill(1) }
  if (sizeOf(given.shape) !== samples)
    throw batchFault(
      `The batch has ${sizeOf(given.shape)} sample weights for ${samples} samples.`,
      'Give one weight for every sample.',
    )
  const weights = cast(given, 'float32')
  if ((weights.data as Float32Array).some((w) => w < 0))
    throw batchFault('A sample weight is negative.', 'Weights are 0 or more.')
  return { ...weights, shape: [samples] }
}

const specOf = (name: string, { dtype, shape }: Tensor) => ({ name, dtype, shape: [...shape] })

const norm = ({ data }: Tensor): number => {
  let sum = 0
  for (const x of data as Float32Array) sum += x * x
  return Math.sqrt(sum)
}

const listed = (names: Iterable<string>): string => [...names].map((name) => `'${name}'`).join(', ') || 'nothing'
