import { isFinal, type JobView } from '@pingo/wire'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, withClient } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { EventLines, watchJob } from '../../view/follow.ts'
import { summaryLines } from '../../view/job-lines.ts'
import { findJob } from './find.ts'

/** A running job's stored events come at once; after so long without one all were seen. */
const QUIET_MS = 400

export function logsCommand({ signal }: Context): Command {
  return clientCommand('logs', 'Show what happened in a job: a line per round, and what went wrong.', [
    'pingo job logs last',
    'pingo job logs -f 4f1c',
    'pingo job logs -f last --json',
  ])
    .argument('<id>', "the job's id, the beginning of it, its name, or last")
    .option('-f, --follow', 'stay until the job ends; the exit code is then the job’s')
    .action((id: string, options: ClientOptions & { follow?: boolean }) =>
      withClient(options, async (client, output) => {
        const job = await findJob(client, id, signal)
        if (options.follow) {
          const ended = await watchJob(client, job.id, output, { signal }).catch((error: unknown) => {
            if (!signal.aborted) throw error
            output.note(`The job goes on without you; pick it up again with \`pingo job logs -f ${job.id}\`.`)
            throw new Exit(EXIT.interrupted)
          })
          if (!output.json) tellEnd(ended, (line) => output.say(line))
          if (ended.state !== 'done') throw new Exit(EXIT.failed)
          return
        }
        const lines = new EventLines()
        const quiet = new AbortController()
        const both = AbortSignal.any([signal, quiet.signal])
        const timer = isFinal(job.state) ? undefined : setTimeout(() => quiet.abort(), QUIET_MS)
        try {
          for await (const event of client.follow(job.id, { signal: both })) {
            if (event.type === 'progress') break
            if (output.json) output.emit(event)
            else for (const line of lines.of(event)) output.say(line)
            timer?.refresh()
          }
        } catch (error) {
          if (!quiet.signal.aborted || signal.aborted) throw error
        } finally {
          clearTimeout(timer)
        }
        if (!output.json && isFinal(job.state)) tellEnd(job, (line) => output.say(line))
      }),
    )
}

function tellEnd(job: JobView, say: (line: string) => void): void {
  for (const line of summaryLines(job)) say(line)
  if (job.state === 'done') say(`Fetch the result with \`pingo job get ${job.id}\`.`)
}
