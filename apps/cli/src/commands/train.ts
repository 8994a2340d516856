import { relative } from 'node:path'
import type { Client, Job, Progress } from '@pingo/client'
import { type JobView, PinGoError, sentence } from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type Context, clientCommand, withClient } from '../context.ts'
import { EXIT, Exit } from '../exit.ts'
import type { Output } from '../output.ts'
import { type PublishFlags, publishModel } from '../publish.ts'
import { watchJob } from '../view/follow.ts'
import { summaryLines, trainingLines } from '../view/job-lines.ts'
import { ProgressView } from '../view/progress.ts'

interface TrainOptions extends PublishFlags {
  detach?: boolean
  follow?: boolean
  output?: string
  private?: boolean
}

export function trainCommand(context: Context): Command {
  return clientCommand('train', 'Train a model: import data, submit the job, follow it, fetch the result.', [
    'pingo train examples/tabular/job.yaml',
    'pingo train job.yaml --output ./model',
    'pingo train job.yaml --detach',
    'pingo train job.yaml --private',
    'pingo train job.yaml --publish my-model --public',
    'pingo train job.yaml --json | tail -1',
  ])
    .argument('<job-file>', 'a YAML or JSON job file (docs/job-file.md)')
    .option('--follow', 'stay until the job ends and fetch its result (the default)')
    .addOption(new Option('--detach', 'submit and leave; the job goes on without you').conflicts('follow'))
    .option(
      '--private',
      'encrypt the data on this machine, as data.private in the job file does; off by default, because the contributors that train see the data in any case, and open data are stored once and used again',
    )
    .option('--output <folder>', 'folder for the trained model (default: as the job file says)')
    .option('--publish <label>', 'store the trained model and point this name of yours to it, as its newest version')
    .option('--public', 'with --publish: readable by everybody who knows the name (default: encrypted, for you alone)')
    .action((file: string, options: TrainOptions) => train(file, options, context))
}

async function train(file: string, options: TrainOptions, { signal }: Context): Promise<void> {
  const { readJobFile } = await import('@pingo/client')
  const job = await readJobFile(file)
  if (options.private) makePrivate(job)
  await withClient(options, async (client, output) => {
    const view = await submitJob(client, job, output, signal)
    for (const line of trainingLines(view)) output.say(line)
    if (options.detach) {
      output.result(view, () => {
        output.say(`Submitted job ${view.id}.`)
        output.say(
          `Follow it with \`pingo job logs -f ${view.id}\`, fetch the result with \`pingo job get ${view.id}\`.`,
        )
      })
      return
    }
    const ended = await follow(client, view, output, signal)
    if (ended.state !== 'done') {
      finishFailed(ended, output)
      return
    }
    await fetchInto(client, ended, options.output ?? job.resultFolder, output, signal, options)
  })
}

function makePrivate(job: Job): void {
  if ('cid' in job.data.train)
    throw new PinGoError(
      'DATA_SETTLED',
      'Whether data in the network are private was settled when they were imported.',
      {
        hint: 'Import them with `pingo data import PATH --private` and name the address that it prints.',
      },
    )
  job.data.private = true
}

/** Submits a job and shows what happens until it is accepted. */
export async function submitJob(client: Client, job: Job, output: Output, signal: AbortSignal): Promise<JobView> {
  const progress = new ProgressView(output)
  try {
    return await client.submit(job, { signal, onProgress: (step: Progress) => progress.show(step) })
  } finally {
    progress.end()
  }
}

async function follow(client: Client, view: JobView, output: Output, signal: AbortSignal): Promise<JobView> {
  if (!output.live) output.note(`Job ${view.id} is submitted.`)
  try {
    return await watchJob(client, view.id, output, { signal })
  } catch (error) {
    if (signal.aborted) {
      output.note(`The job goes on without you; pick it up again with \`pingo job logs -f ${view.id}\`.`)
      throw new Exit(EXIT.interrupted)
    }
    throw error
  }
}

function finishFailed(job: JobView, output: Output): never {
  output.result({ type: 'result', job }, () => {
    for (const line of summaryLines(job)) output.note(line)
    output.note(`See why with \`pingo job explain ${job.id}\` and \`pingo job logs ${job.id}\`.`)
  })
  throw new Exit(EXIT.failed)
}

/** Fetches a done job's files and says where they are. */
export async function fetchInto(
  client: Client,
  job: JobView,
  folder: string,
  output: Output,
  signal: AbortSignal,
  flags: PublishFlags = {} as PublishFlags,
): Promise<void> {
  let fetched: Awaited<ReturnType<Client['fetch']>>
  try {
    fetched = await client.fetch(job.id, folder, { signal })
  } catch (error) {
    if (!signal.aborted) output.note(`The job is done, but its result could not be fetched: ${sentence(error)}`)
    output.note(`Fetch it again with \`pingo job get ${job.id} --output FOLDER\`.`)
    throw signal.aborted ? error : new Exit(EXIT.failed)
  }
  const { model, checkpoint, card, modelCard } = fetched
  const published = flags.publish === undefined ? undefined : await publishModel(model, job, flags, signal)
  output.result({ type: 'result', job, model, checkpoint, card, modelCard, ...(published && { published }) }, () => {
    for (const line of summaryLines(job)) output.say(line)
    output.say(`model  ${shown(model)}  (with checkpoint.safetensors and model.json)`)
    if (published) output.say(`name   ${published.name}  version ${published.version.sequence}`)
    output.say(`try    npx pingo predict ${shown(model)} --input FILE`)
  })
}

/** A path as short as it can be said from here. */
function shown(path: string): string {
  const short = relative('.', path)
  return short.length < path.length && !short.startsWith('../..') ? short : path
}
