import { extname } from 'node:path'
import type { Prediction } from '@pingo/client'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { type Context, command, type JsonOption, numberFrom } from '../context.ts'
import { Output } from '../output.ts'
import { type PredictionForm, predictionForms } from '../view/predictions.ts'
import { writeLines } from '../whole-file.ts'

interface PredictOptions extends JsonOption {
  input?: string
  output?: string
  prompt?: string
  length?: number
  temperature?: number
  seed?: number
}

export function predictCommand({ signal }: Context): Command {
  return command('predict', 'Use a model on a file of inputs, or let a text model go on with a prompt.', [
    'pingo predict result-iris/model.onnx --input flowers.csv',
    'pingo predict result-mnist-cnn/model.onnx --input digit.png --json',
    'pingo predict model.onnx --input rows.csv --output predictions.csv',
    'pingo predict result-moby-dick/model.onnx --prompt "Call me " --length 300 --seed 1',
  ])
    .argument('<model>', 'an .onnx file; the model.json beside it tells its columns and classes')
    .option('--input <file>', 'CSV, JSONL, Parquet, PNG, JPEG or a folder of them, npy, idx, safetensors or text')
    .option('--output <file>', 'write the predictions there (.csv, .json or .jsonl) instead of here')
    .option('--prompt <text>', 'text models: what to go on from')
    .option('--length <tokens>', 'text models: tokens to add (default: 200)', numberFrom(1, 100_000, { integer: true }))
    .option(
      '--temperature <t>',
      'text models: 0 takes the likeliest, higher is bolder (default: 0.8)',
      numberFrom(0, 10),
    )
    .option(
      '--seed <n>',
      'text models: equal seeds give equal text (default: 0)',
      numberFrom(0, 2 ** 32 - 1, { integer: true }),
    )
    .action((model: string, options: PredictOptions) => predict(model, options, signal))
}

async function predict(model: string, options: PredictOptions, signal: AbortSignal): Promise<void> {
  const { input, prompt } = options
  if ((input === undefined) === (prompt === undefined))
    throw new PinGoError('USAGE', 'Say what to predict from: either --input FILE or --prompt TEXT.', {
      hint: 'See `pingo predict --help`.',
    })
  const output = new Output(options)
  const { Predictor } = await import('@pingo/client/predict')
  await using predictor = await Predictor.open(model, { signal })
  if (prompt !== undefined) {
    const text = predictor.generate(prompt, { ...options, signal })
    let generated = ''
    if (!output.json) process.stdout.write(prompt)
    for await (const token of text) {
      generated += token
      if (!output.json) process.stdout.write(token)
    }
    output.result({ prompt, generated }, () => output.say())
    return
  }
  const predictions = predictor.predict(input!, { signal })
  if (options.output !== undefined) await writeTo(options.output, predictions, output)
  else {
    const form = predictionForms[output.json ? 'jsonl' : process.stdout.isTTY ? 'table' : 'csv']()
    for await (const line of linesOf(form, predictions)) process.stdout.write(line)
  }
}

/** Writes predictions to a file, which appears once it is whole. */
async function writeTo(path: string, predictions: AsyncIterable<Prediction>, output: Output): Promise<void> {
  const kind = extname(path).slice(1).toLowerCase()
  if (kind !== 'csv' && kind !== 'json' && kind !== 'jsonl')
    throw new PinGoError('USAGE', `Predictions cannot be written as '${path}'.`, {
      hint: 'Let the name end in .csv, .json or .jsonl.',
    })
  let rows = 0
  const counted = async function* () {
    for await (const prediction of predictions) {
      rows++
      yield prediction
    }
  }
  await writeLines(path, linesOf(predictionForms[kind](), counted()))
  output.result({ output: path, rows }, () =>
    output.say(`${rows} ${rows === 1 ? 'prediction' : 'predictions'} written to ${path}.`),
  )
}

async function* linesOf(form: PredictionForm, predictions: AsyncIterable<Prediction>): AsyncGenerator<string> {
  let first = true
  for await (const prediction of predictions) {
    if (first) yield form.head(prediction)
    yield form.line(prediction, first)
    first = false
  }
  yield form.tail(first)
}
