import type { Command } from 'commander'
import { chainCommand, withChain } from '../../chain.ts'
import { type Context, command, numberFrom } from '../../context.ts'
import { type CollectionOptions, collectionOf, ownerOf, withCollection } from './collection.ts'

const MAX_LEVEL = 16

export function verifyCommand({ signal }: Context): Command {
  return withCollection(
    chainCommand(
      command('verify', 'Tell whether an account holds a pass: the exit code is 0 when it does, 1 when it does not.', [
        'pingo pass verify UQ…',
        'pingo pass verify UQ… --min-level 3 --presented EQ… --json',
      ]),
    ),
  )
    .argument('<owner>', 'whose pass')
    .option('--min-level <n>', 'the least level', numberFrom(1, MAX_LEVEL, { integer: true }), 1)
    .option('--presented <address>', 'the pass that the owner shows: it must be the very one')
    .action((given: string, flags: CollectionOptions & { minLevel: number; presented?: string }) =>
      withChain(flags, async (endpoint, output) => {
        const { createPassLookup, parseAddress, passesOnChain } = await import('@pingo/chain')
        const owner = await ownerOf(endpoint, given, '')
        const lookup = createPassLookup(passesOnChain(await collectionOf(endpoint, flags), endpoint))
        const presented = flags.presented ? parseAddress(flags.presented, endpoint.network).address : undefined
        const { pass, level, epoch } = await lookup.require(owner, {
          minLevel: flags.minLevel,
          signal,
          ...(presented && { presented }),
        })
        output.result({ owner: owner.toString(), pass: pass.toString(), level, epoch, holds: true }, () =>
          output.say(`${owner} holds the pass ${pass} of level ${level}.`),
        )
      }),
    )
}
