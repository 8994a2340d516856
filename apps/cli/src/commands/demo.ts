import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from '@pingo/client'
import { homeFolder, isConnectionLive } from '@pingo/client/local'
import { type JobView, PinGoError } from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type Context, command, type JsonOption, numberFrom, port } from '../context.ts'
import { demoJob, evaluateOnTestImages, mnistFiles } from '../demo/mnist.ts'
import { EXIT, Exit } from '../exit.ts'
import { count, duration, whole } from '../format.ts'
import { type LocalNetwork, startNetwork } from '../local/network.ts'
import { askedToEnd } from '../local/node-life.ts'
import { Output } from '../output.ts'
import { watchJob } from '../view/follow.ts'
import { summaryLines } from '../view/job-lines.ts'
import { ProgressView } from '../view/progress.ts'
import { MAX_LOCAL_CONTRIBUTORS } from './up.ts'

const DEFAULT_EPOCHS = 3

interface DemoOptions extends JsonOption {
  exit?: boolean
  epochs: number
  contributors: number
  port: number
  withParent?: boolean
}

/** The last line of `pingo demo --json`. */
interface DemoResult {
  accuracy: number
  /** From submitting the job to the fetched file. */
  seconds: number
  samples: number
  samplesPerSecond: number
  contributors: number
  rounds: number
  model: string
}

export function demoCommand({ signal }: Context): Command {
  return command('demo', 'Start a network on this machine, train a network on MNIST with it, show the result.', [
    'pingo demo',
    'pingo demo --exit --json | tail -1',
    'pingo demo --contributors 2 --epochs 1',
  ])
    .option('--exit', 'end after the result (default: the network and its dashboard stay until Ctrl-C)')
    .option('--epochs <n>', 'how often every image is seen', numberFrom(0.01, 1000), DEFAULT_EPOCHS)
    .option('--contributors <n>', 'how many contributors', numberFrom(1, MAX_LOCAL_CONTRIBUTORS, { integer: true }), 4)
    .option('--port <port>', 'port of the dashboard; 0 takes a free one', port, 0)
    .addOption(new Option('--with-parent').hideHelp())
    .action((options: DemoOptions) => demo(options, signal))
}

async function demo(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const output = new Output(options)
  const home = homeFolder()
  const folder = join(
    home,
    'demo',
    new Date()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z')
      .replaceAll(':', '-'),
  )
  output.say('Starting a fog node and its contributors …')
  const network = await startNetwork({
    home: folder,
    // other terminals find it by themselves, unless a fog node already runs here
    connectionHome: (await isConnectionLive(home)) ? join(folder, 'fog') : home,
    contributors: options.contributors,
    port: options.port,
    signal,
    onLost: (what) => output.note(`pingo: ${what}`),
  })
  try {
    const ended = new AbortController()
    const broken = network.broken.then((why) => {
      const error = new PinGoError('FOG_ENDED', why, { hint: 'Start again with `pingo demo`.' })
      ended.abort(error)
      throw error
    })
    const either = AbortSignal.any([signal, ended.signal])
    await Promise.race([showResult(network, join(folder, 'result'), options, output, either), broken])
    if (!options.exit) {
      output.say('The network stays until Ctrl-C.')
      await Promise.race([askedToEnd(signal, options), broken])
    }
  } finally {
    await network.stop()
    await forget(folder, options.contributors)
  }
}

async function showResult(
  network: LocalNetwork,
  folder: string,
  options: DemoOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const { url, token, contributors } = network
  output.say(
    `${contributors.length} contributors and a fog node are up; the dashboard is ${output.colour.underline(url)}`,
  )
  const { connect } = await import('@pingo/client')
  const client = await connect({ url, token })
  try {
    const datasets = await storeMnist(client, output, signal)
    const submitted = performance.now()
    const { id } = await client.submit(demoJob({ ...datasets, epochs: options.epochs }), { signal })
    const job = await watchJob(client, id, output, { signal, quietJson: true })
    if (job.state !== 'done') {
      for (const line of summaryLines(job)) output.note(line)
      output.note(`The logs are in ${join(folder, '..')}.`)
      throw new Exit(EXIT.failed)
    }
    const { model } = await client.fetch(id, folder, { signal })
    const seconds = (performance.now() - submitted) / 1000
    const { accuracy, images } = await evaluateOnTestImages(model, signal)
    tell(resultOf(job, { accuracy, seconds, model }), images, url, output)
  } finally {
    client.close()
  }
}

async function storeMnist(
  client: Client,
  output: Output,
  signal: AbortSignal,
): Promise<{ train: string; test: string }> {
  const files = mnistFiles()
  const progress = new ProgressView(output)
  const onProgress = progress.show.bind(progress)
  try {
    const { train } = await client.importDataset(files.train, { name: 'mnist', signal, onProgress })
    const like = train.manifest
    const { train: test } = await client.importDataset(files.test, { name: 'mnist-test', like, signal, onProgress })
    progress.end()
    output.say(
      `MNIST is stored: ${whole(train.manifest.samples)} images to train on, ${whole(test.manifest.samples)} to test.`,
    )
    return { train: `pingo://${train.ref.cid}`, test: `pingo://${test.ref.cid}` }
  } finally {
    progress.end()
  }
}

function resultOf(job: JobView, o: { accuracy: number; seconds: number; model: string }): DemoResult {
  return {
    accuracy: o.accuracy,
    seconds: Number(o.seconds.toFixed(2)),
    samples: job.samplesDone,
    samplesPerSecond: Number((job.samplesDone / o.seconds).toFixed(1)),
    contributors: job.shares.filter(({ samples }) => samples > 0).length,
    rounds: job.rounds,
    model: o.model,
  }
}

function tell(result: DemoResult, images: number, url: string, output: Output): void {
  output.result(result, () => {
    const { accuracy, seconds, samples, samplesPerSecond, contributors, rounds, model } = result
    output.say()
    output.say(
      `Trained on ${whole(samples)} samples in ${duration(seconds * 1000)}: ${contributors} contributors, ${rounds} rounds, ${count(samplesPerSecond)} samples/s.`,
    )
    output.say(
      `The fetched model tells ${output.colour.bold(`${(accuracy * 100).toFixed(2)} %`)} of the ${whole(images)} test images right.`,
    )
    output.say(`model      ${model}`)
    output.say(`dashboard  ${output.colour.underline(url)}`)
  })
}

/** What the nodes of a demo stored is of no use after them; its result and logs stay. */
async function forget(folder: string, contributors: number): Promise<void> {
  const names = ['fog', ...Array.from({ length: contributors }, (_, index) => `contributor-${index + 1}`)]
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true })
}
