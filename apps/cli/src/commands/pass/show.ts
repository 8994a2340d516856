import type { Command } from 'commander'
import { chainCommand, withChain } from '../../chain.ts'
import { type Context, command } from '../../context.ts'
import { MAIN_WALLET } from '../wallet/wallet-file.ts'
import { type CollectionOptions, collectionOf, ownerOf, withCollection } from './collection.ts'

export function showCommand({ signal }: Context): Command {
  return withCollection(
    chainCommand(
      command('show', 'See the pass of a wallet, or of any account.', [
        'pingo pass show',
        'pingo pass show UQ… --json',
      ]),
    ),
  )
    .argument('[owner]', 'whose pass (default: the wallet’s)')
    .option('--wallet <name>', 'which wallet', MAIN_WALLET)
    .action((given: string | undefined, flags: CollectionOptions & { wallet: string }) =>
      withChain(flags, async (endpoint, output) => {
        const { createPassLookup, passesOnChain } = await import('@pingo/chain')
        const owner = await ownerOf(endpoint, given, flags.wallet)
        const collection = await collectionOf(endpoint, flags)
        const { pass, ...answer } = await createPassLookup(passesOnChain(collection, endpoint)).find(owner, { signal })
        output.result(
          { owner: owner.toString(), collection: collection.toString(), pass: pass.toString(), ...answer },
          () => {
            const row = (what: string, value: string) => output.say(`${output.colour.dim(what.padEnd(11))}${value}`)
            row('owner', owner.toString())
            row('pass', pass.toString())
            if (answer.standing === 'held') row('level', `${answer.level}, proven in epoch ${answer.epoch}`)
            else if (answer.standing === 'revoked') row('revoked', new Date(answer.revokedAt * 1000).toISOString())
            else row('level', 'none: it was not claimed yet (`pingo pass claim`)')
          },
        )
      }),
    )
}
