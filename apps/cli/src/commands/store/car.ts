import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { PinGoError } from '@pingo/wire'
import { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { tellFile } from './put.ts'
import { plural, TransferView, withStore } from './with-store.ts'

export function carCommand(context: Context): Command {
  return new Command('car')
    .description('Exchange public files and folders with IPFS, as CAR.')
    .addCommand(exportCommand(context))
    .addCommand(importCommand(context))
    .addHelpText(
      'after',
      '\nExamples:\n  $ pingo store car export model.onnx --out model.car\n  $ pingo store car import model.car',
    )
}

function exportCommand({ signal }: Context): Command {
  return clientCommand('export', 'Write a public file or folder with all its blocks as CAR.', [
    'pingo store car export model.onnx --out model.car',
    'pingo store car export CID > photos.car',
  ])
    .argument('<what>', 'path in the store, or CID')
    .option('--out <file>', 'the file to write; - is stdout', '-')
    .action((what: string, flags: ClientOptions & { out: string }) => {
      if (flags.out === '-' && process.stdout.isTTY)
        throw new PinGoError('USAGE_TERMINAL', 'A CAR is nothing for a terminal.', { hint: 'Add --out FILE.car.' })
      return withStore(flags, { signal }, async (store, output) => {
        const car = store.exportCar(what, { signal })
        if (flags.out === '-') return await pipeline(car, process.stdout, { end: false })
        const part = `${flags.out}.pingo-part`
        try {
          await pipeline(car, createWriteStream(part), { signal })
          await rename(part, flags.out)
        } catch (error) {
          await rm(part, { force: true })
          throw error
        }
        output.result({ path: flags.out }, () => output.say(flags.out))
      })
    })
}

function importCommand({ signal }: Context): Command {
  return clientCommand('import', 'Store the files and folders of a CAR as public data.', [
    'pingo store car import model.car --name model.onnx',
  ])
    .argument('<file>', 'the CAR; - reads from a pipe')
    .option('--name <name>', 'what it is called in the store (default: the CID of its root)')
    .option('--bucket <bucket>', "the first level of its path (default: 'pins')")
    .action((file: string, flags: ClientOptions & { name?: string; bucket?: string }) =>
      withStore(flags, { changes: true, signal }, async (store, output) => {
        const view = new TransferView(output, 'store')
        const source = file === '-' ? process.stdin : createReadStream(file)
        const { stored, renamed } = await store
          .importCar(source, { name: flags.name, bucket: flags.bucket, signal, onProgress: (step) => view.show(step) })
          .finally(() => view.end())
        const paths = stored.map(({ entry }) => `${entry.bucket}/${entry.key}`)
        output.result({ stored: paths, renamed }, () => {
          const files = stored.filter(({ entry }) => entry.kind === 'file')
          if (stored.length === 1) tellFile(stored[0]!, output)
          else {
            const shown = files.slice(0, 5).map(({ entry }) => `${entry.bucket}/${entry.key}`)
            output.say(`Stored ${plural(files.length, 'file')}: ${shown.join(', ')}${files.length > 5 ? ' …' : ''}`)
          }
          for (const { from, to } of renamed)
            output.note(`${from} is cut into other blocks; its bytes are kept under ${to}.`)
        })
      }),
    )
}
