import { type Command, Option } from 'commander'
import { type Context, command } from '../../context.ts'
import { leaveCommand, pauseCommand, resumeCommand } from './act.ts'
import { benchCommand } from './bench.ts'
import { diagnosticsCommand } from './diagnostics.ts'
import { doctorCommand } from './doctor.ts'
import { earningsCommand, historyCommand } from './history.ts'
import { type RunOptions, run, settingOptions } from './run.ts'
import { installServiceCommand, uninstallServiceCommand } from './service.ts'
import { getCommand, setCommand } from './settings.ts'
import { statusCommand } from './status.ts'
import { updateCommand } from './update.ts'

export function contributeCommand(context: Context): Command {
  const contribute = command('contribute', 'Lend CPU, memory and disk of this machine to the network.', [
    'pingo contribute',
    'pingo contribute --fog /ip4/192.168.1.5/tcp/7071/p2p/12D3Koo…',
    'pingo contribute --cpu 40% --memory 2Gi --schedule "mon-fri 18:00-08:00, sat-sun"',
    'pingo contribute --disk 20GB --keep-free 5GB --name study',
  ]).option(
    '--fog <multiaddr...>',
    'address of a fog node as it prints it (default: the one that runs on this machine)',
  )
  for (const option of settingOptions()) contribute.addOption(option)
  return contribute
    .option('--always', 'use what is lent at any time, whatever else this machine does: --when always')
    .option('--home <folder>', 'folder of all its state (default: PINGO_HOME/contributor)')
    .option('--verbose', 'log what happens, on stderr too')
    .addOption(new Option('--with-parent').hideHelp())
    .addHelpText(
      'after',
      '\nThese settings hold for this run. `pingo contribute set cpu=40%` writes them down, in contributor.json of the home,\n' +
        'and changes one that runs; without any, a core and 30 % of the free memory stay yours.',
    )
    .action((options: RunOptions) => run(options, context.signal))
    .addCommand(setCommand(context))
    .addCommand(getCommand(context))
    .addCommand(statusCommand(context))
    .addCommand(pauseCommand(context))
    .addCommand(resumeCommand(context))
    .addCommand(historyCommand(context))
    .addCommand(earningsCommand(context))
    .addCommand(doctorCommand(context))
    .addCommand(benchCommand(context))
    .addCommand(installServiceCommand(context))
    .addCommand(uninstallServiceCommand(context))
    .addCommand(diagnosticsCommand(context))
    .addCommand(updateCommand(context))
    .addCommand(leaveCommand(context))
}
