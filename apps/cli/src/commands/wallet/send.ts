import type { ChainEndpoint, Transfer } from '@pingo/chain'
import { PinGoError } from '@pingo/wire'
import type { Address, Cell } from '@ton/core'
import type { Command } from 'commander'
import { confirm } from '../../ask.ts'
import { type ChainOptions, chainCommand, withChain } from '../../chain.ts'
import type { Context } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import type { Output } from '../../output.ts'
import { pingoMinter, withMinter } from './pingo.ts'
import { loadWallet, type WalletOptions, walletFileCommand, withKey, withPassphrase } from './wallet-file.ts'

interface SendOptions extends WalletOptions, ChainOptions {
  minter?: string
  comment?: string
  yes?: boolean
}

/** What is going to be sent, in one asset. */
interface Plan {
  asset: 'GRAM' | 'PINGO'
  amount: bigint
  to: Address
  transfer: Transfer
  /** GRAM that go along and come back as far as they are not used. */
  along: bigint
}

export function sendCommand({ signal }: Context): Command {
  return withMinter(
    chainCommand(
      withPassphrase(
        walletFileCommand('send', 'Send GRAM or PINGO. Shows the fee and asks first.', [
          'pingo wallet send 1.5 GRAM UQ… --network testnet',
          'pingo wallet send 20 PINGO UQ… --comment "for the cake"',
          'pingo wallet send 1 GRAM UQ… --yes --password-file passphrase.txt --json',
        ]),
      ),
    ),
  )
    .argument('<amount>', 'how much, such as 1.5')
    .argument('<asset>', 'GRAM or PINGO')
    .argument('<to>', 'address of the receiver')
    .option('--comment <text>', 'a line for the receiver; everybody can read it')
    .option('--yes', 'do not ask')
    .action(async (amount: string, asset: string, to: string, flags: SendOptions) => {
      const file = await loadWallet(flags.wallet)
      await withChain(flags, async (endpoint, output) => {
        const plan = await planOf(endpoint, { amount, asset, to }, flags, Buffer.from(file.publicKey, 'hex'))
        await withKey(file, flags, async ({ signer }) => {
          const { estimateTransfer, formatAmount, walletOn } = await import('@pingo/chain')
          const wallet = walletOn(endpoint, signer)
          const draft = await wallet.prepare([plan.transfer])
          const { fee, messages } = await estimateTransfer(endpoint, wallet.address, draft, { signal })
          if (messages === 0)
            throw new PinGoError('BALANCE_TOO_LOW', 'The wallet has too little GRAM for the amount and the fee.', {
              hint: `The fee is about ${formatAmount(fee)} GRAM.`,
            })
          await ask(output, endpoint, plan, fee, flags)
          // signed anew: whoever was asked may have taken longer than a transfer lives
          const sent = await wallet.submit(await wallet.prepare([plan.transfer]), { signal })
          const [failed] = sent.failed
          if (failed)
            throw new PinGoError('TRANSFER_FAILED', `A contract refused it: ${failed.word}.`, {
              hint: 'What was sent came back, less the fees. See `pingo wallet history`.',
            })
          const done = {
            hash: sent.hash.toString('hex'),
            asset: plan.asset,
            amount: formatAmount(plan.amount),
            to: plan.to.toRawString(),
            fee: formatAmount(sent.fee),
          }
          output.result(done, () => output.say(`Sent ${done.amount} ${done.asset}; the fee was ${done.fee} GRAM.`))
        })
      })
    })
}

async function planOf(
  endpoint: ChainEndpoint,
  given: { amount: string; asset: string; to: string },
  flags: SendOptions,
  publicKey: Buffer,
): Promise<Plan> {
  const chain = await import('@pingo/chain')
  const asset = given.asset.toUpperCase()
  if (asset !== 'GRAM' && asset !== 'PINGO')
    throw new PinGoError('USAGE_ASSET', `There is no asset ${JSON.stringify(given.asset.slice(0, 20))} here.`, {
      hint: 'Send GRAM or PINGO.',
    })
  const amount = chain.parseAmount(given.amount)
  if (amount === 0n) throw new PinGoError('AMOUNT_INVALID', 'There is nothing to send.')
  const { address: to, bounceable } = chain.parseAddress(given.to, endpoint.network)
  const comment: Cell | null = flags.comment === undefined ? null : chain.commentBody(flags.comment)
  if (asset === 'GRAM') {
    // where there is no contract yet, what would bounce is sent so that it stays
    const bounce = (bounceable ?? true) && (await endpoint.account(to)).status === 'active'
    return { asset, amount, to, along: 0n, transfer: { to, value: amount, bounce, body: comment } }
  }
  const own = chain.w5Of(publicKey, endpoint.network).address
  const minter = await pingoMinter(endpoint, flags)
  const wallet = chain.JettonWallet.of('pingo', minter, own)
  const { code } = await endpoint.account(wallet.address)
  const balance = code ? (await chain.open(endpoint, wallet).getWalletData()).balance : 0n
  if (balance < amount) throw new PinGoError('BALANCE_TOO_LOW', `The wallet has ${chain.formatAmount(balance)} PINGO.`)
  const along = chain.TRANSFER_VALUE + (comment ? COMMENT_VALUE : 0n)
  const body = chain.jettonTransfer({
    to,
    amount,
    respondTo: own,
    // a comment reaches the receiver by a notification, which carries something
    ...(comment && { forwardAmount: 1n, payload: comment }),
  })
  return { asset, amount, to, along, transfer: { to: wallet.address, value: along, bounce: true, body } }
}

/** GRAM more that go along with PINGO and a comment. */
const COMMENT_VALUE = 10_000_000n

async function ask(
  output: Output,
  endpoint: ChainEndpoint,
  plan: Plan,
  fee: bigint,
  flags: SendOptions,
): Promise<void> {
  const { formatAddress, formatAmount } = await import('@pingo/chain')
  const row = (what: string, value: string) => output.note(`${output.colour.dim(what.padEnd(10))}${value}`)
  row('send', `${formatAmount(plan.amount)} ${plan.asset}`)
  row('to', formatAddress(plan.to, { network: endpoint.network }))
  row('network', flags.network)
  row('fee', `about ${formatAmount(fee)} GRAM`)
  if (plan.along > 0n) row('along', `${formatAmount(plan.along)} GRAM; what is not used comes back`)
  if (flags.yes) return
  const sure = await confirm('Send it? [y/N] ')
  if (sure === undefined)
    throw new PinGoError('USAGE_CONFIRM', 'Nothing was sent: there is no terminal to ask at.', {
      hint: 'Say --yes to send without being asked.',
    })
  if (sure) return
  output.note('Nothing was sent.')
  throw new Exit(EXIT.failed)
}
