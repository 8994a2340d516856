import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  checkUpdate,
  findContributor,
  newestProven,
  RELEASE_POLICY,
  type UpdateCheck,
  type UpdateResult,
  update,
} from '@pingo/contributor/local'
import { isPinGoError, loadIdentity, type MachineView, sentence } from '@pingo/wire'
import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { handOver } from '../../local/hand-over.ts'
import { Output } from '../../output.ts'
import { version } from '../../version.ts'
import { contributorHome, type HomeOptions, ownerCommand } from './home.ts'

interface UpdateCommandOptions extends HomeOptions {
  check?: boolean
  from?: string
}

/** What is told of an update; off: this version has no release keys. */
type Told = UpdateCheck | UpdateResult | { state: 'off'; sentence: string; running: string }

export function updateCommand({ signal }: Context): Command {
  return ownerCommand('update', 'Install a newer version that enough release keys have signed; it starts next time.', [
    'pingo contribute update --check',
    'pingo contribute update --from https://example.org/pingo/release.cbor',
  ])
    .option('--check', 'only look whether there is one')
    .option('--from <url>', 'address of the manifest of the release')
    .action(async (options: UpdateCommandOptions) => {
      const output = new Output(options)
      // release keys change with versions: those of the newest hold
      const entry = () => newestProven(contributorHome(options), version(), RELEASE_POLICY)
      await handOver({ entry, args: process.argv.slice(2), signal })
      const told = options.check ? await offWhere(() => run(options, signal)) : await run(options, signal)
      output.result(told, () => {
        output.say(told.sentence)
        if (told.state === 'ready') output.say('`pingo contribute update` installs it.')
        if (told.state === 'waiting')
          output.say('Try again later; `pingo contribute pause` hands in what was begun first.')
      })
    })
}

async function run(options: UpdateCommandOptions, signal: AbortSignal): Promise<UpdateCheck | UpdateResult> {
  const home = contributorHome(options)
  const running = await findContributor(home)
  const view = await running?.view()
  const about = {
    home,
    source: options.from,
    policy: RELEASE_POLICY,
    base: version(),
    peerId: view?.peerId ?? (await peerIdOf(home)),
    now: Date.now(),
    signal,
  }
  if (options.check) return checkUpdate(about)
  const canApply = async () => !running || !(await running.isLive()) || isFree(await running.view())
  return update({ ...about, canApply, inUse: view?.version })
}

const isFree = ({ slices }: MachineView): boolean => slices.every(({ job }) => job === undefined)

/** The name of a contributor that does not run; one that never ran gets none by being asked. */
async function peerIdOf(home: string): Promise<string | undefined> {
  const file = join(home, 'identity.key')
  return existsSync(file) ? (await loadIdentity(file)).peerId : undefined
}

/** That updates are off is an answer to the question whether there is one. */
async function offWhere(ask: () => Promise<UpdateCheck | UpdateResult>): Promise<Told> {
  try {
    return await ask()
  } catch (error) {
    if (!isPinGoError(error, 'UPDATES_OFF')) throw error
    return { state: 'off', sentence: sentence(error), running: version() }
  }
}
