import { join } from 'node:path'
import {
  findContributor,
  readAssignment,
  readMachine,
  readSettingsWords,
  SETTINGS_FILE,
  SettingsFile,
  settingsView,
  WORD_NAMES,
  WORDS,
  wordName,
  wordText,
} from '@pingo/contributor/local'
import type { SettingsView } from '@pingo/wire'
import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { Output } from '../../output.ts'
import { contributorHome, type HomeOptions, ownerCommand } from './home.ts'

export function setCommand(_: Context): Command {
  return ownerCommand('set', 'Change what this machine lends and when; it is written down, and holds at once.', [
    'pingo contribute set cpu=40%',
    'pingo contribute set memory=2Gi disk=20GB "schedule=mon-fri 18:00-08:00, sat-sun"',
    'pingo contribute set battery=50% applications=zoom,obs',
    'pingo contribute set cpu=            # back to the default',
  ])
    .argument('<setting...>', 'as WORD=VALUE; nothing behind the sign means the default')
    .addHelpText('after', `\nSettings:\n${wordLines().join('\n')}`)
    .action(async (assignments: string[], options: HomeOptions) => {
      const output = new Output(options)
      const home = contributorHome(options)
      const machine = await readMachine(home)
      const said = Object.fromEntries(assignments.map((text) => readAssignment(text, machine)))
      const running = await findContributor(home)
      const view = running ? await running.change(said) : await write(home, said)
      output.result(view, () => {
        for (const name of Object.keys(said)) output.say(settingLine(name, view))
        output.say(running ? 'It holds from now on.' : `Written to ${view.file}; it holds when a contributor starts.`)
      })
    })
}

async function write(home: string, said: Parameters<SettingsFile['change']>[0]): Promise<SettingsView> {
  const file = await SettingsFile.open(home, { machine: await readMachine(home) })
  try {
    await file.change(said)
    return settingsView(file.words, file.machine, { file: file.path })
  } finally {
    file.close()
  }
}

export function getCommand(_: Context): Command {
  return ownerCommand('get', 'See what this machine lends and when.', [
    'pingo contribute get',
    'pingo contribute get cpu',
    'pingo contribute get --json',
  ])
    .argument('[setting]', 'one of them')
    .action(async (setting: string | undefined, options: HomeOptions) => {
      const output = new Output(options)
      const home = contributorHome(options)
      const running = await findContributor(home)
      const view = running ? await running.settings() : await readView(home)
      if (setting !== undefined) {
        const value = view.settings[wordName(setting)]!
        output.result(value, () => output.say(wordText(value)))
        return
      }
      output.result(view, () => {
        for (const name of WORD_NAMES) output.say(settingLine(name, view))
        output.say(output.colour.dim(view.file))
        if (view.trouble) output.note(view.trouble)
      })
    })
}

async function readView(home: string): Promise<SettingsView> {
  const machine = await readMachine(home)
  return settingsView(await readSettingsWords(home, machine), machine, { file: join(home, SETTINGS_FILE) })
}

function settingLine(name: string, view: SettingsView): string {
  const said = view.said[name]
  const text = wordText(view.settings[name]!)
  const cores = name === 'cpu' ? ` of ${view.machine.cores} cores` : ''
  const own = said === undefined ? ' (default)' : wordText(said) === text ? '' : ` (${wordText(said)})`
  return `${name.padEnd(12)} ${text}${cores}${own}`
}

/** Each word with what it is and an example. */
export const wordLines = (): string[] =>
  WORD_NAMES.map((name) => `  ${`${name}=${WORDS[name].example}`.padEnd(42)} ${WORDS[name].about}`)
