import { Command } from 'commander'
import { chainCommands } from './commands/chain/index.ts'
import { contributeCommand } from './commands/contribute/index.ts'
import { dataCommand } from './commands/data.ts'
import { demoCommand } from './commands/demo.ts'
import { fogCommand } from './commands/fog/index.ts'
import { graphCommand } from './commands/graph/index.ts'
import { jobCommand } from './commands/job/index.ts'
import { newCommand } from './commands/new.ts'
import { passCommand } from './commands/pass/index.ts'
import { predictCommand } from './commands/predict.ts'
import { quoteCommand } from './commands/quote.ts'
import { storeCommand } from './commands/store/index.ts'
import { tokenCommand } from './commands/token/index.ts'
import { trainCommand } from './commands/train.ts'
import { upCommand } from './commands/up.ts'
import { walletCommand } from './commands/wallet/index.ts'
import type { Context } from './context.ts'
import { version } from './version.ts'

/** The `pingo` command and all below it. */
export function createProgram(context: Context): Command {
  const program = new Command('pingo')
    .description('Train AI models on idle CPUs.')
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'show help')
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError(false)
    .exitOverride()
    .enablePositionalOptions() // `pingo fog status --json`: the option is that of `status`
    .addHelpText(
      'after',
      '\nExamples:\n  $ pingo demo                        # a whole network here, trains, shows the result\n' +
        '  $ pingo up                          # a network here, ready for your jobs\n' +
        '  $ pingo new --template mlp flowers  # a folder to start from\n' +
        '  $ pingo train examples/tabular/job.yaml\n\nEnvironment:\n' +
        '  PINGO_HOME   folder of all state (default: ~/.pingo)\n' +
        '  PINGO_FOG    address of the fog node       PINGO_TOKEN  its token\n' +
        "  PINGO_CHAIN  servers of the TON network    PINGO_MINTER PINGO's minter on it\n" +
        '  NO_COLOR     no colours                    PINGO_DEBUG  1 shows where an error came from',
    )
  const commands = [
    demoCommand,
    upCommand,
    fogCommand,
    contributeCommand,
    newCommand,
    dataCommand,
    trainCommand,
    quoteCommand,
    jobCommand,
    predictCommand,
    storeCommand,
    graphCommand,
    walletCommand,
    passCommand,
    tokenCommand,
    chainCommands,
  ]
  for (const create of commands) program.addCommand(create(context))
  inherit(program)
  return program
}

/** Settings of a command hold for those below it; each tells wrong usage in a sentence and where its help is. */
function inherit(parent: Command, path = parent.name()): void {
  parent.configureOutput({
    outputError: (text, write) => write(`pingo: ${usageSentence(text)}\nSee \`${path} --help\`.\n`),
  })
  for (const child of parent.commands) {
    child.copyInheritedSettings(parent).helpOption('--help', 'show help')
    inherit(child, `${path} ${child.name()}`)
  }
}

/** "error: unknown option '--x'\n(Did you mean --y?)" as "unknown option '--x'; did you mean --y?". */
function usageSentence(text: string): string {
  const sentence = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?')
  return /[.?]$/.test(sentence) ? sentence : `${sentence}.`
}
