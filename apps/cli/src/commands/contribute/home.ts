import { join } from 'node:path'
import { homeFolder } from '@pingo/client/local'
import { type ControlClient, findContributor } from '@pingo/contributor/local'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { command, type JsonOption } from '../../context.ts'

export interface HomeOptions extends JsonOption {
  home?: string
}

export const contributorHome = (o: HomeOptions): string => o.home ?? join(homeFolder(), 'contributor')

/** A command about the contributor of this machine. */
export const ownerCommand = (name: string, description: string, examples: string[]): Command =>
  command(name, description, examples).option(
    '--home <folder>',
    "the contributor's home (default: PINGO_HOME/contributor)",
  )

/** The contributor that runs. @throws PinGoError CONTRIBUTOR_ABSENT */
export async function runningContributor(o: HomeOptions): Promise<ControlClient> {
  const found = await findContributor(contributorHome(o))
  if (found) return found
  throw new PinGoError('CONTRIBUTOR_ABSENT', 'No contributor runs here.', {
    hint: o.home
      ? `Looked in ${o.home}. Start it with \`pingo contribute --home ${o.home}\`.`
      : 'Start it with `pingo contribute`.',
  })
}
