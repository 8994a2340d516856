import { PinGoError } from '@pingo/wire'
import { Address } from '@ton/core'
import { verifyEd25519 } from '../keys/ed25519.ts'
import { type TonProofRequest, tonProofBytes } from './message.ts'
import { readWalletState, type WalletCode } from './wallet-state.ts'

/** How old a proof may be, and how far its wallet's clock may be ahead of ours. */
export const PROOF_MAX_AGE_MS = 5 * 60_000
export const PROOF_MAX_AHEAD_MS = 60_000

/** What a proof has shown: whoever sent it holds the key that commands this address. */
export interface ProvenWallet {
  readonly address: Address
  readonly publicKey: Buffer
  /** `w5`, `v4r2`, … */
  readonly wallet: string
  readonly network: number
}

/** What we expect of a proof. */
export interface ProofExpectation {
  /** Host of the app as wallets see it in its manifest's URL, e.g. `app.pingo.example`. */
  readonly domain: string
  /** Global id of the network. No proof binds it: it is the wallet's word, which W5's id confirms. */
  readonly network: number
}

/**
 * Checks a wallet's proof (TON Connect, `ton_proof`), all but whether its payload is ours and unused. Pure.
 *
 * @param now - milliseconds since 1970.
 * @throws PinGoError TON_PROOF_NETWORK, _DOMAIN, _STALE, _WALLET, _ADDRESS, _KEY or _SIGNATURE
 */
export function verifyTonProof({
  proof,
  account,
  expected,
  now,
  codes,
}: TonProofRequest & {
  expected: ProofExpectation
  now: number
  codes?: ReadonlyMap<string, WalletCode>
}): ProvenWallet {
  const { network } = expected
  if (account.chain !== String(network)) throw otherNetwork()
  const { value: domain, lengthBytes } = proof.domain
  if (domain !== expected.domain || lengthBytes !== Buffer.byteLength(domain))
    throw new PinGoError('TON_PROOF_DOMAIN', `The proof was made for ${quoted(domain)}, not for this site.`, {
      hint: 'Connect your wallet again, at the address that you know.',
    })
  const timestamp = BigInt(proof.timestamp)
  const age = now - Number(timestamp) * 1000
  if (age > PROOF_MAX_AGE_MS || age < -PROOF_MAX_AHEAD_MS)
    throw new PinGoError('TON_PROOF_STALE', `The proof is ${age > 0 ? 'too old' : 'from the future'}.`, {
      hint: age > 0 ? 'Connect your wallet again.' : "Set your device's clock right and connect your wallet again.",
    })

  const address = Address.parseRaw(account.address)
  const state = readWalletState(Buffer.from(account.walletStateInit, 'base64'), address, { codes, networks: [network] })
  if (state.network !== undefined && state.network !== network) throw otherNetwork()
  const { publicKey, wallet } = state
  if (account.publicKey !== undefined && account.publicKey.toLowerCase() !== publicKey.toString('hex'))
    throw new PinGoError('TON_PROOF_KEY', 'The key that the wallet tells is not the one of its address.')

  const bytes = tonProofBytes({
    workchain: address.workChain,
    hash: address.hash,
    domain,
    timestamp,
    payload: proof.payload,
    network,
  })
  if (!verifyEd25519(publicKey, bytes, Buffer.from(proof.signature, 'base64')))
    throw new PinGoError('TON_PROOF_SIGNATURE', "The signature is not that of the wallet's key.")
  return { address, publicKey, wallet, network }
}

/**
 * Checks a wallet's proof and consumes its payload: last, so that nobody can void a payload with a false proof, and at once, so that one
 * payload proves once.
 *
 * @param consume - whether the payload is ours and unused; it is used from then on. `Payloads.consume`, or one statement of a database.
 * @throws PinGoError as {@link verifyTonProof}, and TON_PROOF_REPLAYED
 */
export async function checkTonProof(
  request: Parameters<typeof verifyTonProof>[0] & { consume: (payload: string) => boolean | Promise<boolean> },
): Promise<ProvenWallet> {
  const proven = verifyTonProof(request)
  if (!(await request.consume(request.proof.payload)))
    throw new PinGoError('TON_PROOF_REPLAYED', 'The proof was used before, or was not asked for here.', {
      hint: 'Connect your wallet again.',
    })
  return proven
}

const otherNetwork = () =>
  new PinGoError('TON_PROOF_NETWORK', 'The wallet is on another network.', {
    hint: 'Switch the wallet to the network of this site and connect it again.',
  })

const quoted = (text: string) => JSON.stringify(text.slice(0, 64))
