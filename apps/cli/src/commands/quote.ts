import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, withClient } from '../context.ts'
import { count, duration, whole } from '../format.ts'
import { ProgressView } from '../view/progress.ts'

export function quoteCommand({ signal }: Context): Command {
  return clientCommand('quote', 'Tell how long a job would take on the network as it is now; nothing is submitted.', [
    'pingo quote examples/mnist/job.yaml',
    'pingo quote job.yaml --json',
  ])
    .argument('<job-file>', 'a YAML or JSON job file')
    .action(async (file: string, options: ClientOptions) => {
      const { readJobFile } = await import('@pingo/client')
      const job = await readJobFile(file)
      await withClient(options, async (client, output) => {
        const progress = new ProgressView(output)
        const quote = await client
          .quote(job, { signal, onProgress: (step) => progress.show(step) })
          .finally(() => progress.end())
        output.result(quote, () => {
          output.say(
            `${quote.name}: ${whole(quote.parameters)} parameters, ${whole(quote.samples)} samples in ${quote.epochs} epochs`,
          )
          output.say(`time          ${quote.etaMs === undefined ? 'unknown' : `about ${duration(quote.etaMs)}`}`)
          output.say(`contributors  ${quote.contributors}`)
          if (quote.samplesPerSecond > 0) output.say(`speed         ${count(quote.samplesPerSecond)} samples/s`)
          if (quote.queuedAhead > 0)
            output.say(`ahead of it   ${quote.queuedAhead} ${quote.queuedAhead === 1 ? 'job' : 'jobs'}`)
          output.say(`price         nothing: this network does not charge yet`)
          output.say(quote.basis)
        })
      })
    })
}
