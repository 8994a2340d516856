import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { chainCommand, withChain } from '../../chain.ts'
import type { Context } from '../../context.ts'
import { loadWallet, type WalletOptions, walletFileCommand, withKey, withPassphrase } from '../wallet/wallet-file.ts'
import { type CollectionOptions, collectionOf, ownerOf, withCollection } from './collection.ts'
import { readTree } from './tree-file.ts'

interface ClaimOptions extends CollectionOptions, WalletOptions {
  tree: string
}

export function claimCommand({ signal }: Context): Command {
  return withCollection(
    chainCommand(
      withPassphrase(
        walletFileCommand('claim', 'Claim the pass that a wallet has earned, or raise its level.', [
          'pingo pass claim --tree credit.csv',
          'pingo pass claim --tree credit.csv --network testnet --password-file passphrase.txt --json',
        ]),
      ),
    ),
  )
    .requiredOption('--tree <file>', 'the published tree of credit: lines of `address,credit`')
    .action((flags: ClaimOptions) =>
      withChain(flags, async (endpoint, output) => {
        const { ContributorCollection, ContributorPass, levelOf, open, walletOn } = await import('@pingo/chain')
        const owner = await ownerOf(endpoint, undefined, flags.wallet)
        const collection = open(endpoint, new ContributorCollection(await collectionOf(endpoint, flags)))
        const { tree } = await readTree(flags.tree)
        const { root, unit, epoch } = await collection.getCreditData()
        if (BigInt(`0x${tree.root().toString('hex')}`) !== root)
          throw new PinGoError('PASS_TREE', 'This tree is not the one whose root stands on the chain.', {
            hint: `Get the tree of epoch ${epoch}.`,
          })
        const credit = tree.get(owner)
        const level = levelOf(credit, unit)
        if (level === 0)
          throw new PinGoError('PASS_CREDIT', `The wallet's credit is ${credit}; a pass takes ${unit}.`, {
            hint: 'It grows with verified work: `pingo contribute`.',
          })
        await withKey(await loadWallet(flags.wallet), flags, async ({ signer }) => {
          await collection.sendClaim(walletOn(endpoint, signer), tree.proof(owner))
        })
        const pass = open(endpoint, ContributorPass.of(collection.address, owner))
        const data = await pass.getPassData()
        signal.throwIfAborted()
        if (data.revokedAt > 0)
          throw new PinGoError('PASS_REVOKED', 'The pass was revoked; a claim does not bring it back.')
        output.result({ owner: owner.toString(), pass: pass.address.toString(), ...data }, () =>
          output.say(`The pass ${pass.address} is of level ${data.level} (epoch ${data.epoch}).`),
        )
      }),
    )
}
