import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { chainCommand, withChain } from '../../chain.ts'
import type { Context } from '../../context.ts'
import { readDeployment } from '../chain/book.ts'
import { loadWallet, type WalletOptions, walletFileCommand, withKey, withPassphrase } from '../wallet/wallet-file.ts'
import { type CollectionOptions, collectionOf, ownerOf, withCollection } from './collection.ts'

interface ProveOptions extends CollectionOptions, WalletOptions {
  gate?: string
}

/** Seconds within which the proof must reach the gate. */
const VALID_SECONDS = 600

export function proveCommand({ signal }: Context): Command {
  return withCollection(
    chainCommand(
      withPassphrase(
        walletFileCommand('prove', 'Have the pass of a wallet prove itself to a gate, on the chain.', [
          'pingo pass prove',
          'pingo pass prove --gate EQ… --json',
        ]),
      ),
    ),
  )
    .option('--gate <address>', "the gate (default: this machine's deployment's)")
    .action((flags: ProveOptions) =>
      withChain(flags, async (endpoint, output) => {
        const { AccessGate, ContributorPass, networkOf, open, parseAddress, walletOn } = await import('@pingo/chain')
        const owner = await ownerOf(endpoint, undefined, flags.wallet)
        const address = flags.gate
          ? parseAddress(flags.gate, endpoint.network).address
          : (await readDeployment(networkOf(flags.network))).gate.address
        const gate = open(endpoint, new AccessGate(address))
        const pass = open(endpoint, ContributorPass.of(await collectionOf(endpoint, flags), owner))
        const nonce = (await gate.getGrant(owner)).nonce + 1n
        const data = new AccessGate(address).request(nonce, (await endpoint.now({ signal })) + VALID_SECONDS)
        await withKey(await loadWallet(flags.wallet), flags, async ({ signer }) => {
          await pass.sendProveOwnership(walletOn(endpoint, signer), { destination: address, data, withContent: true })
        })
        const grant = await gate.getGrant(owner)
        if (grant.nonce !== nonce)
          throw new PinGoError('PASS_REFUSED', 'The gate did not let the pass in.', { hint: 'See `pingo pass show`.' })
        const until = new Date(grant.until * 1000).toISOString()
        output.result(
          { owner: owner.toString(), gate: address.toString(), nonce: nonce.toString(), until: grant.until },
          () => output.say(`The gate lets ${owner} in until ${until}.`),
        )
      }),
    )
}
