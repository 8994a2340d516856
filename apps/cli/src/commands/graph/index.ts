import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { checkCommand } from './check.ts'
import { exportCommand } from './export.ts'

export function graphCommand(context: Context): Command {
  const graph = new Command('graph').description('Look at models, and export them.')
  for (const create of [checkCommand, exportCommand]) graph.addCommand(create(context))
  return graph.addHelpText(
    'after',
    '\nExamples:\n  $ pingo graph check model.onnx\n  $ pingo graph export model.onnx --out small.onnx',
  )
}
