import type { Command } from 'commander'
import { type Context, command, type JsonOption, numberFrom } from '../context.ts'

interface PredictOptions extends JsonOption {
  input?: string
}

export function predictCommand({ signal }: Context): Command {
  return command('predict', 'Use a model on a file of inputs, or let a text model go on with a prompt.', [
    'pingo predict result-iris/model.onnx --input flowers.csv',
  ])
    .argument('<model>', 'an .onnx file')
    .option('--input <file>', 'what to predict from')
    .action(async (_path: string, _options: PredictOptions) => void signal)
}
