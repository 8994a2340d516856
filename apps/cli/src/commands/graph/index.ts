import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { checkCommand } from './check.ts'

export function graphCommand(context: Context): Command {
  const graph = new Command('graph').description('Look at models.')
  for (const create of [checkCommand]) graph.addCommand(create(context))
  return graph.addHelpText('after', '\nExamples:\n  $ pingo graph check model.onnx')
}
