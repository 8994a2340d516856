import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { chainCommand, withChain } from '../../chain.ts'
import type { Context } from '../../context.ts'
import { whole } from '../../format.ts'
import { loadWallet, type WalletOptions, walletFileCommand, withKey, withPassphrase } from '../wallet/wallet-file.ts'
import { type CollectionOptions, collectionOf, withCollection } from './collection.ts'
import { readTree } from './tree-file.ts'

interface RootOptions extends CollectionOptions, WalletOptions {
  tree: string
}

export function rootCommand({ signal }: Context): Command {
  return withCollection(
    chainCommand(
      withPassphrase(
        walletFileCommand('root', "Set the root of the next epoch's tree of credit; only the authority can.", [
          'pingo pass root --tree credit.csv',
        ]),
      ),
    ),
  )
    .requiredOption('--tree <file>', 'the tree of credit, to be published: lines of `address,credit`')
    .action((flags: RootOptions) =>
      withChain(flags, async (endpoint, output) => {
        const { ContributorCollection, open, w5Of, walletOn } = await import('@pingo/chain')
        const { tree } = await readTree(flags.tree)
        const file = await loadWallet(flags.wallet)
        const collection = open(endpoint, new ContributorCollection(await collectionOf(endpoint, flags)))
        const { epoch, authority } = await collection.getCreditData()
        if (!authority.equals(w5Of(Buffer.from(file.publicKey, 'hex'), endpoint.network).address))
          throw new PinGoError('PASS_AUTHORITY', `Only the authority ${authority} sets roots.`, {
            hint: 'Give its wallet with --wallet.',
          })
        signal.throwIfAborted()
        await withKey(file, flags, async ({ signer }) => {
          await collection.sendSetRoot(walletOn(endpoint, signer), epoch + 1, tree.root())
        })
        output.result({ epoch: epoch + 1, root: tree.root().toString('hex'), accounts: tree.size }, () =>
          output.say(`Epoch ${epoch + 1}: ${whole(tree.size)} accounts, root ${tree.root().toString('hex')}.`),
        )
      }),
    )
}
