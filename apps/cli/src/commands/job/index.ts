import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { getCommand, stopCommand, verifyCommand } from './act.ts'
import { logsCommand } from './logs.ts'
import { describeCommand, explainCommand, listCommand } from './show.ts'

export function jobCommand(context: Context): Command {
  const commands = [listCommand, describeCommand, logsCommand, explainCommand, stopCommand, getCommand, verifyCommand]
  const job = new Command('job').description('List jobs, watch them, stop them, fetch and verify what they made.')
  for (const create of commands) job.addCommand(create(context))
  return job.addHelpText('after', '\nExamples:\n  $ pingo job list\n  $ pingo job logs -f last\n  $ pingo job get last')
}
