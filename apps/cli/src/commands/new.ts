import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type Context, command, type JsonOption } from '../context.ts'
import { bytes } from '../format.ts'
import type { TemplateName } from '../new/recipes.ts'
import { Output } from '../output.ts'

/** As in `new/recipes.ts`, which is loaded when the command runs. */
const TEMPLATES: readonly TemplateName[] = ['mlp', 'cnn', 'resnet', 'gpt', 'vit', 'lstm', 'autoencoder', 'lora']

export function newCommand(_: Context): Command {
  return command('new', 'Write a folder to start from: a commented job file, sample data and a README.', [
    'pingo new --template mlp flowers',
    'pingo new --template gpt',
    'pingo new --template resnet photos --json',
  ])
    .addOption(new Option('--template <name>', 'what is trained').choices(TEMPLATES).makeOptionMandatory())
    .argument('[folder]', "the folder to make (default: the template's name)")
    .addHelpText(
      'after',
      `\nTemplates:
  mlp          tables: layers of neurons
  cnn          images: a small convolutional network
  resnet       images: a residual network such as ResNet-18
  gpt          text: writes on, token by token
  vit          images: a vision transformer
  lstm         sequences of numbers, or text: stacked LSTMs
  autoencoder  images and tables: tells its input from few numbers
  lora         your own ONNX model: small adapters beside its weights`,
    )
    .action(async (folder: string | undefined, options: JsonOption & { template: TemplateName }) => {
      const { template } = options
      const { recipes, readmeOf } = await import('../new/recipes.ts')
      const shown = folder ?? template
      const path = resolve(shown)
      const name = nameOf(path)
      const recipe = recipes[template]
      const files = new Map<string, string | Uint8Array>([
        ['job.yaml', recipe.job(name)],
        ['README.md', readmeOf(name, template)],
        ...(await recipe.files()),
      ])
      await mustBeFree(path, shown)
      for (const [file, content] of files) {
        await mkdir(dirname(join(path, file)), { recursive: true })
        await writeFile(join(path, file), content, { flag: 'wx' })
      }
      const total = [...files.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0)
      const next = `pingo train ${/^[\w./-]+$/.test(shown) ? join(shown, 'job.yaml') : `'${join(shown, 'job.yaml')}'`}`
      const output = new Output(options)
      output.result({ folder: path, template, name, files: [...files.keys()], bytes: total, next }, () => {
        output.say(`${shown} is ready: job.yaml, README.md and sample data (${bytes(total)}).`)
        output.say(`Next, with a network by \`pingo up\`:\n  ${next}`)
      })
    })
}

/** A name for the job that needs no quotes in YAML. */
const nameOf = (path: string): string =>
  basename(path)
    .replace(/[^\w-]+/g, '-')
    .replace(/^[^a-zA-Z]+/, '')
    .slice(0, 100) || 'job'

/** Nothing is ever overwritten: the folder is new, or empty. @throws PinGoError FOLDER_NOT_EMPTY */
async function mustBeFree(path: string, shown: string): Promise<void> {
  let found: string[]
  try {
    found = await readdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (found.length)
    throw new PinGoError('FOLDER_NOT_EMPTY', `The folder ${shown} exists and is not empty; nothing was written.`, {
      hint: 'Name another one: pingo new --template NAME FOLDER.',
    })
}
