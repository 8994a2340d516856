import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { type Context, command, type JsonOption } from '../../context.ts'
import { bytes } from '../../format.ts'
import { Output } from '../../output.ts'

interface ExportOptions extends JsonOption {
  out?: string
  fold?: boolean
  weights?: string
  safetensors?: string
}

export function exportCommand(_: Context): Command {
  return command('export', 'Write a model for use: without dropout and dead parts; weights to and from safetensors.', [
    'pingo graph export result/model.onnx --out small.onnx --fold',
    'pingo graph export model.onnx --weights checkpoint.safetensors --out trained.onnx',
    'pingo graph export model.onnx --safetensors weights.safetensors',
  ])
    .argument('<model>', 'an .onnx file')
    .option('--out <file>', 'where the model for use goes')
    .option('--fold', 'put BatchNormalization into the weights in front of it')
    .option('--weights <file>', 'take the weights of this safetensors file, by name')
    .option('--safetensors <file>', "write the model's weights, by name")
    .action(async (path: string, options: ExportOptions) => {
      const output = new Output(options)
      if (!options.out && !options.safetensors)
        throw new PinGoError('USAGE', 'Say what to write.', {
          hint: 'Give --out FILE for a model, --safetensors FILE for its weights, or both.',
        })
      const { readModelBytes } = await import('@pingo/client')
      const { parseModel, toInference, weightsOf, withWeights, writeModel } = await import('@pingo/graph')
      const { readSafetensors, writeSafetensors } = await import('@pingo/wire')
      const given = await readModelBytes(path)
      let model = parseModel(given)
      if (options.weights) model = withWeights(model, readSafetensors(await readFile(options.weights)).tensors)
      const written: Record<string, { path: string; bytes: number }> = {}
      const write = async (what: string, to: string, data: Uint8Array) => {
        await writeFile(to, data)
        written[what] = { path: to, bytes: data.length }
      }
      const weights = weightsOf(model)
      if (options.safetensors)
        await write('safetensors', options.safetensors, writeSafetensors(weights, { format: 'pt' }))
      const small = toInference(model, { foldBatchNorm: options.fold ?? false })
      if (options.out) await write('model', options.out, writeModel(small))
      const nodes = { before: model.graph.nodes.length, after: small.graph.nodes.length }
      output.result({ ...written, nodes, weights: weights.size }, () => {
        if (written.model)
          output.say(
            `${basename(path)} (${bytes(given.length)}, ${nodes.before} nodes) is now ${written.model.path} (${bytes(written.model.bytes)}, ${nodes.after} nodes).`,
          )
        if (written.safetensors)
          output.say(
            `${weights.size} weights are in ${written.safetensors.path} (${bytes(written.safetensors.bytes)}).`,
          )
      })
    })
}
