import { basename } from 'node:path'
import type { Command } from 'commander'
import { type Context, command, type JsonOption } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { count, whole } from '../../format.ts'
import { Output } from '../../output.ts'

export function checkCommand(_: Context): Command {
  return command('check', 'Tell whether an ONNX model can be trained, its inputs, outputs and size.', [
    'pingo graph check examples/own-onnx/model.onnx',
    'pingo graph check model.onnx --json',
  ])
    .argument('<model>', 'an .onnx file')
    .action(async (path: string, options: JsonOption) => {
      const output = new Output(options)
      const { readModelBytes } = await import('@pingo/client')
      const { checkModel, parseModel } = await import('@pingo/graph')
      const model = parseModel(await readModelBytes(path))
      const report = checkModel(model)
      const trainable = report.blocking.length === 0
      const summary = { trainable, producer: model.producer, ...report }
      output.result(summary, () => {
        const values = (list: typeof report.inputs) =>
          list.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.map((d) => d || '?').join(',')}]`).join('; ')
        const row = (name: string, value: string) => output.say(`${output.colour.dim(name.padEnd(12))}${value}`)
        output.say(trainable ? `${basename(path)} can be trained.` : `${basename(path)} cannot be trained:`)
        for (const { node, op, reason, hint } of report.blocking)
          output.say(`- ${op}${node ? ` (node '${node}')` : ''}: ${reason}${hint ? ` ${hint}` : ''}`)
        row('inputs', values(report.inputs))
        row('outputs', values(report.outputs))
        row('parameters', whole(report.parameters))
        row('work', `${count(report.flopsPerSample)} FLOP a sample, forward`)
        row(
          'operators',
          Object.entries(report.operators)
            .toSorted(([a], [b]) => a.localeCompare(b))
            .map(([op, n]) => (n > 1 ? `${op} ×${n}` : op))
            .join(', '),
        )
        row('format', `opset ${report.opset}${model.producer ? `, by ${model.producer}` : ''}`)
        for (const note of report.notes) output.say(`note: ${note}`)
      })
      if (!trainable) throw new Exit(EXIT.failed)
    })
}
