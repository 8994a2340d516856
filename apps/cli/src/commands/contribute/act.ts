import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseDuration } from '@pingo/client/local'
import { type ControlClient, findContributor } from '@pingo/contributor/local'
import { PinGoError } from '@pingo/wire'
import { type Command, InvalidArgumentError } from 'commander'
import { confirm } from '../../ask.ts'
import type { Context } from '../../context.ts'
import { count, duration } from '../../format.ts'
import { Output } from '../../output.ts'
import { pauseSentence } from '../../view/machine-lines.ts'
import { contributorHome, type HomeOptions, ownerCommand, runningContributor } from './home.ts'

const LEAVE_MS = 60_000
const ASK_MS = 200

export function pauseCommand(_: Context): Command {
  return ownerCommand('pause', 'Stop working for others, until told otherwise; what was begun is handed in.', [
    'pingo contribute pause',
    'pingo contribute pause --for 2h',
  ])
    .option('--for <time>', 'go on by itself after so long, such as 30m or 2h', minutes)
    .action(async (options: HomeOptions & { for?: number }) => {
      const output = new Output(options)
      const view = await (await runningContributor(options)).pause(options.for)
      output.result(view, () =>
        output.say(
          options.for === undefined
            ? 'Paused. `pingo contribute resume` ends it.'
            : `Paused for ${duration(options.for * 60_000)}. \`pingo contribute resume\` ends it earlier.`,
        ),
      )
    })
}

export function resumeCommand(_: Context): Command {
  return ownerCommand('resume', 'Go on working for others after a pause.', ['pingo contribute resume']).action(
    async (options: HomeOptions) => {
      const output = new Output(options)
      const view = await (await runningContributor(options)).resume()
      const { pause } = view
      output.result(view, () =>
        output.say(
          pause && pause.reason !== 'owner'
            ? `Your pause is over. ${pauseSentence(pause)}`
            : 'Your pause is over; it goes on.',
        ),
      )
    },
  )
}

interface LeaveOptions extends HomeOptions {
  purge?: boolean
  yes?: boolean
}

export function leaveCommand({ signal }: Context): Command {
  return ownerCommand('leave', 'Leave the network: work that was begun is handed in, then the contributor ends.', [
    'pingo contribute leave',
    'pingo contribute leave --purge',
  ])
    .option('--purge', 'remove its home too: settings, cache, history and identity')
    .option('--yes', 'remove without asking')
    .action(async (options: LeaveOptions) => {
      const output = new Output(options)
      const home = contributorHome(options)
      const running = options.purge ? await findContributor(home) : await runningContributor(options)
      if (options.purge) await mayPurge(home, options)
      if (running) await end(running, signal)
      if (options.purge) await rm(home, { recursive: true, force: true })
      output.result({ left: running !== undefined, purged: options.purge === true }, () => {
        if (running) output.say('The contributor has left.')
        if (options.purge) output.say(`${home} is removed.`)
      })
    })
}

async function end(running: ControlClient, signal: AbortSignal): Promise<void> {
  const { credit } = await running.leave()
  for (const until = Date.now() + LEAVE_MS; await running.isLive(); await sleep(ASK_MS, undefined, { signal }))
    if (Date.now() > until)
      throw new PinGoError('CONTRIBUTOR_SILENT', `The contributor (process ${running.pid}) does not end.`, {
        hint: `It has ${count(credit.leases)} leases handed in; end its process to be done with it.`,
      })
}

/** Only what is a contributor's home is ever removed, and only when its owner says so. */
async function mayPurge(home: string, o: LeaveOptions): Promise<void> {
  if (!existsSync(join(home, 'identity.key')) && !existsSync(join(home, 'contributor.lock')))
    throw new PinGoError('HOME_UNKNOWN', `${home} is no contributor's home; nothing is removed.`, {
      hint: 'Name the home with --home.',
    })
  if (o.yes) return
  const answer = await confirm(`Remove ${home} with its settings, cache, history and identity? [y/N] `)
  if (answer) return
  throw new PinGoError('NOT_CONFIRMED', 'Nothing was removed.', {
    hint: answer === undefined ? 'There is no terminal to ask at: say --yes.' : undefined,
  })
}

function minutes(text: string): number {
  const ms = parseDuration(text.replace(/min$/, 'm'))
  if (ms === undefined || ms < 1000) throw new InvalidArgumentError('It must be a time such as 30m or 2h.')
  return ms / 60_000
}
