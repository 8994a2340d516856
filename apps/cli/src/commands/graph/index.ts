import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { checkCommand } from './check.ts'
import { exportCommand } from './export.ts'
import { gradCommand } from './grad.ts'

export function graphCommand(context: Context): Command {
  const graph = new Command('graph').description('Look at models, differentiate and export them.')
  for (const create of [checkCommand, gradCommand, exportCommand]) graph.addCommand(create(context))
  return graph.addHelpText(
    'after',
    '\nExamples:\n  $ pingo graph check model.onnx\n  $ pingo graph export model.onnx --out small.onnx\n' +
      '  $ pingo graph grad model.onnx --batch batch.safetensors --loss mse --out gradients.safetensors',
  )
}
