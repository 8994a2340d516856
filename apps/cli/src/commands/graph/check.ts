import { basename } from 'node:path'
import type { Model, ModelReport, TrainingEstimate } from '@pingo/graph'
import { isPinGoError, sentence, sizeOf } from '@pingo/wire'
import { type Command, InvalidArgumentError } from 'commander'
import { type Context, command, type JsonOption } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { bytes, count, whole } from '../../format.ts'
import { Output } from '../../output.ts'

/** Greatest batch and greatest symbolic size that may be asked for. */
const MAX_BATCH = 65_536
const MAX_SIZE = 1_000_000
const MAX_BLOCKING_SHOWN = 20

interface CheckOptions extends JsonOption {
  batch?: number[]
  size?: Record<string, number>
  verbose?: boolean
}

export function checkCommand(_: Context): Command {
  return command(
    'check',
    'Tell whether an ONNX model can be trained, what blocks it, and what a training step takes.',
    [
      'pingo graph check examples/own-onnx/model.onnx',
      'pingo graph check model.onnx --batch 16,64,256 --size sequence=128',
      'pingo graph check model.onnx --verbose',
      'pingo graph check model.onnx --json',
    ],
  )
    .argument('<model>', 'an .onnx file')
    .option('--batch <sizes>', 'batch sizes to tell the memory for (default: 1,8,32,128)', batchSizes)
    .option(
      '--size <name=n>',
      'a symbolic size of the model, such as the length of a sequence; may be repeated',
      symbolSize,
    )
    .option('--verbose', 'list every parameter')
    .action(async (path: string, options: CheckOptions) => {
      const output = new Output(options)
      const { readModelBytes } = await import('@pingo/client')
      const { checkModel, parseModel } = await import('@pingo/graph')
      const model = parseModel(await readModelBytes(path))
      const report = checkModel(model)
      const trainable = report.blocking.length === 0 && report.parameters > 0
      const training = trainable ? await estimate(model, options) : undefined
      const summary = { trainable, producer: model.producer, ...report, ...(training ? { training } : {}) }
      output.result(summary, () => show(output, basename(path), model, report, training, options))
      if (!trainable) throw new Exit(EXIT.failed)
    })
}

type Estimate = TrainingEstimate | { reason: string }

async function estimate(model: Model, { batch, size }: CheckOptions): Promise<Estimate> {
  const { estimateTraining } = await import('@pingo/graph')
  try {
    return estimateTraining(model, { ...(batch ? { batches: batch } : {}), ...(size ? { sizes: size } : {}) })
  } catch (error) {
    if (isPinGoError(error)) return { reason: sentence(error) }
    throw error
  }
}

function show(
  output: Output,
  name: string,
  model: Model,
  report: ModelReport,
  training: Estimate | undefined,
  options: CheckOptions,
): void {
  const { dim, green, red } = output.colour
  const row = (title: string, value: string) => output.say(`  ${dim(title.padEnd(12))}${value}`)
  const values = (list: typeof report.inputs) =>
    list.map((v) => `${v.name} ${v.dtype} [${v.shape.map((d) => d || '?').join(', ')}]`).join('; ')
  output.say(training ? green(`${name} can be trained.`) : red(`${name} cannot be trained.`))
  for (const { node, op, shape, reason, hint } of report.blocking.slice(0, MAX_BLOCKING_SHOWN)) {
    output.say(`  ${red('✗')} ${reason.includes(op) ? '' : `${op}${node ? ` '${node}'` : ''} on ${shape}: `}${reason}`)
    if (hint) output.say(`    ${hint}`)
  }
  if (!report.blocking.length && !report.parameters)
    output.say(`  ${red('✗')} It has nothing to train: its outputs depend on no float weight inside the file.`)
  const more = report.blocking.length - MAX_BLOCKING_SHOWN
  if (more > 0) output.say(`    and ${more} more: see --json.`)
  output.say()
  row('inputs', values(report.inputs))
  row('outputs', values(report.outputs))
  row(
    'parameters',
    `${whole(report.parameters)} in ${whole(report.tensors.length)} tensors, ${bytes(4 * report.parameters)}`,
  )
  row('forward', `${count(report.flopsPerSample)} FLOP a sample`)
  if (training && 'flopsPerSample' in training) row('training', `${count(training.flopsPerSample)} FLOP a sample`)
  row(
    'operators',
    Object.entries(report.operators)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([op, n]) => (n > 1 ? `${op} ×${n}` : op))
      .join(', '),
  )
  row('format', `opset ${report.opset}${model.producer ? `, by ${model.producer}` : ''}`)
  if (training) showTraining(output, training)
  if (options.verbose && report.tensors.length) {
    output.say()
    const rows = report.tensors.map((t) => [`  ${t.name}`, `[${t.shape.join(', ')}]`, whole(sizeOf(t.shape))])
    output.table([['  parameter', 'shape', 'numbers'], ...rows], [2])
  }
  if (report.notes.length) output.say()
  for (const note of report.notes) output.say(`  note: ${note}`)
}

function showTraining(output: Output, training: Estimate): void {
  output.say()
  if ('reason' in training) {
    output.say(`  What a step takes cannot be told without data: ${training.reason}`)
    return
  }
  const sizes = Object.entries(training.sizes).map(([name, n]) => `${name} = ${n}`)
  output.say(
    `  Tensors of a training step with AdamW${sizes.length ? `, at ${sizes.join(', ')} (--size sets it)` : ''}`,
  )
  const rows = training.batches.map(({ batch, peakBytes }) => [`  ${whole(batch)}`, bytes(peakBytes)])
  output.table([['  batch', 'at most'], ...rows], [0, 1])
}

function batchSizes(text: string): number[] {
  const sizes = text.split(',').map(Number)
  if (!sizes.every((n) => Number.isInteger(n) && n >= 1 && n <= MAX_BATCH) || sizes.length > 20)
    throw new InvalidArgumentError(`They must be up to 20 whole numbers from 1 to ${MAX_BATCH}, parted by commas.`)
  return sizes
}

function symbolSize(text: string, before: Record<string, number> = {}): Record<string, number> {
  const [, name, digits] = /^(.+)=(\d+)$/.exec(text) ?? []
  const size = Number(digits)
  if (!name || !(size >= 1 && size <= MAX_SIZE))
    throw new InvalidArgumentError(`It must be the name of a size, = and a whole number up to ${MAX_SIZE}.`)
  return { ...before, [name]: size }
}
