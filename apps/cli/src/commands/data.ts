import type { ImportSettings } from '@pingo/client'
import { Command, Option } from 'commander'
import { type ClientOptions, type Context, clientCommand, numberFrom, withClient } from '../context.ts'
import { bytes, time, whole } from '../format.ts'
import { ProgressView } from '../view/progress.ts'

interface ImportOptions extends ClientOptions {
  name?: string
  format?: ImportSettings['format']
  target?: string
  features?: string[]
  task?: 'classification' | 'regression'
  labels?: string
  test?: number
  context?: number
  imageSize?: [number, number]
  missing?: 'error' | 'mean' | 'drop'
  seed?: number
  private?: boolean
}

const FORMATS = ['idx', 'csv', 'parquet', 'jsonl', 'npy', 'text', 'images', 'safetensors']

export function dataCommand(context: Context): Command {
  return new Command('data')
    .description('Import data into the network and list them.')
    .addCommand(importCommand(context))
    .addCommand(listCommand(context))
    .addHelpText('after', '\nExamples:\n  $ pingo data import flowers.csv --target species\n  $ pingo data ls')
}

function importCommand({ signal }: Context): Command {
  return clientCommand('import', 'Import files or folders as datasets; job files name them as pingo://CID.', [
    'pingo data import flowers.csv --target species --test 0.2',
    'pingo data import photos/ --image-size 64x64',
    'pingo data import book.txt --context 128 --json',
    'pingo data import book.txt --tokenizer bpe --vocabulary 1024',
    'pingo data import patients.csv --private',
  ])
    .argument('<path...>', 'file, or folder of one folder of images per class')
    .option('--name <name>', "name of the dataset (default: the file's)")
    .addOption(new Option('--format <format>', 'how to read it (default: seen from the file)').choices(FORMATS))
    .option('--target <column>', 'the column to predict')
    .option('--features <columns>', 'the columns to learn from, parted by commas', (text) =>
      text.split(',').map((each) => each.trim()),
    )
    .addOption(
      new Option('--task <task>', 'whether the target holds classes or numbers').choices([
        'classification',
        'regression',
      ]),
    )
    .option('--labels <file>', 'idx, npy: the file of labels')
    .option('--test <fraction>', 'set this part apart as test data', numberFrom(0, 0.9))
    .option('--context <tokens>', 'text: tokens of a sample', numberFrom(2, 65_536, { integer: true }))
    .addOption(new Option('--tokenizer <kind>', 'text: characters or byte-pair encoding').choices(['char', 'bpe']))
    .option('--vocabulary <tokens>', 'text, bpe: tokens to learn', numberFrom(257, 50_000, { integer: true }))
    .option('--unlabelled', 'tables: take all columns as inputs, for an autoencoder')
    .option('--image-size <HxW>', 'images: the size that all are brought to', imageSize)
    .addOption(new Option('--missing <how>', 'tables: what to do about empty cells').choices(['error', 'mean', 'drop']))
    .option(
      '--private',
      'encrypt them on this machine: only jobs that you give the key to read them (default: whoever has the address can)',
    )
    .option('--seed <n>', 'seed of the shuffle', numberFrom(0, 2 ** 32 - 1, { integer: true }))
    .action((paths: string[], options: ImportOptions) =>
      withClient(options, async (client, output) => {
        const { json: _json, fog: _fog, token: _token, ...settings } = options
        for (const path of paths) {
          const progress = new ProgressView(output)
          const { train, test } = await client
            .importDataset(path, { ...settings, signal, onProgress: (step) => progress.show(step) })
            .finally(() => progress.end())
          for (const [split, dataset] of Object.entries({ train, test })) {
            if (!dataset) continue
            const { ref, manifest } = dataset
            const { name, kind, samples, columns } = manifest
            output.result(
              { split, cid: ref.cid, uri: `pingo://${ref.cid}`, name, kind, samples, columns: columns.map(summary) },
              () => {
                const parts = columns.map(
                  (column) =>
                    `${column.name} [${column.shape}]${column.classes ? `, ${column.classes.length} classes` : ''}`,
                )
                output.say(`${split.padEnd(5)}  pingo://${ref.cid}`)
                output.say(`       ${whole(samples)} samples (${kind}): ${parts.join('; ')}`)
              },
            )
          }
        }
      }),
    )
}

function listCommand({ signal }: Context): Command {
  return clientCommand('ls', 'List the datasets in the fog node.', ['pingo data ls', 'pingo data ls --json']).action(
    (options: ClientOptions) =>
      withClient(options, async (client, output) => {
        const datasets = await client.datasets({ signal })
        output.result({ datasets }, () => {
          if (!datasets.length) return output.say('No datasets yet; import one with `pingo data import PATH`.')
          output.table(
            [
              ['NAME', 'KIND', 'SAMPLES', 'SIZE', 'ADDED', 'ADDRESS'],
              ...datasets.map((d) => [
                d.name,
                d.kind,
                whole(d.samples),
                bytes(d.bytes),
                time(d.addedAt),
                `pingo://${d.cid}`,
              ]),
            ],
            [2, 3],
          )
        })
      }),
  )
}

const summary = ({ name, role, dtype, shape, classes, fields }: ImportedColumn) => ({
  name,
  role,
  dtype,
  shape,
  classes,
  fields,
})
type ImportedColumn = {
  name: string
  role: string
  dtype: string
  shape: number[]
  classes?: string[]
  fields?: string[]
}

function imageSize(text: string): [number, number] {
  const sizes = text.split(/[x,]/).map(numberFrom(1, 4096, { integer: true }))
  return [sizes[0]!, sizes[1] ?? sizes[0]!]
}
