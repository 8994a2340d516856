import { sign as edSign, verify as edVerify, generateKeyPairSync, randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { signerOf, signVoucher, VoucherBook, verifierOf, verifyVoucher, voucherForm } from '@pingo/chain'
import { VoucherChannel } from '../packages/chain/src/contracts/voucher-channel.ts'
import { fund } from '../packages/chain/src/testing/pay.ts'
import { pingoWorld } from '../packages/chain/src/testing/pingo.ts'
import { gasOf, TEST_EPOCH } from '../packages/chain/src/testing/world.ts'
import type { Row } from './run.ts'

export const summary = 'payment vouchers: sign, verify, and all those of a channel settled by one claim on the real TVM'

const NETWORK = -3
const MANY = 1_000_000

/** Signs and checks every voucher of a channel, then claims the last; `--vouchers` of them (a million takes some minutes). */
export default async function chainVouchers(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({ args, options: { vouchers: { type: 'string', default: '20000' } } })
  const count = Number(values.vouchers)
  const pingo = await pingoWorld()
  const [payer, payee] = [await pingo.place.person('payer'), await pingo.place.person('payee')]
  const key = signerOf(randomBytes(32))
  const terms = { payer: payer.address, payee: payee.address, payerKey: key.publicKey, network: NETWORK }
  const times = { expiresAt: TEST_EPOCH + 30 * 86_400, challengeSeconds: 86_400 }
  const channel = pingo.place.chain.openContract(
    VoucherChannel.fromConfig({ minter: pingo.minter.address, ...terms, ...times, id: 1n }),
  )
  await channel.sendDeploy(payer.getSender())
  await pingo.genesis([[payer.address, BigInt(count)]])
  await fund(pingo, payer, channel.address, BigInt(count))

  const form = voucherForm(NETWORK, channel.address)
  const verifier = verifierOf(key.publicKey)
  const book = new VoucherBook({ network: NETWORK })
  book.keep({ contract: channel.address, payerKey: key.publicKey, funded: BigInt(count), claimed: 0n })
  const bare = bareEd25519()
  const spent = { sign: 0, verify: 0, accept: 0, bareSign: 0, bareVerify: 0 }
  const batch = 1000
  let batches = 0
  let wrong = 0
  for (let done = 0; done < count; done += batch, batches++) {
    const amounts = Array.from({ length: Math.min(batch, count - done) }, (_, i) => BigInt(done + i + 1))
    // a stretch of each in turn, so that all meet the same machine
    let mark = process.cpuUsage()
    const lap = () => {
      const { user, system } = process.cpuUsage(mark)
      mark = process.cpuUsage()
      return (user + system) / 1000 / amounts.length
    }
    const vouchers = amounts.map((amount) => signVoucher(form, amount, key))
    spent.sign += lap()
    const good = vouchers.filter((voucher) => verifyVoucher(form, voucher, verifier)).length
    spent.verify += lap()
    for (const voucher of vouchers) if (book.accept(voucher) !== 1n) wrong++
    spent.accept += lap()
    for (const _ of amounts) bare.sign()
    spent.bareSign += lap()
    for (const _ of amounts) bare.verify()
    spent.bareVerify += lap()
    wrong += amounts.length - good
  }
  const each = (name: keyof typeof spent) => spent[name] / batches

  const best = book.best(channel.address)
  if (!best) throw new Error('the book has no voucher')
  const { transactions } = await channel.sendClaim(payee.getSender(), best)
  const paid = await pingo.balance(payee.address)
  const gas = gasOf(transactions, channel.address)
  const wallets = [channel.address, payee.address].map((owner) => gasOf(transactions, pingo.wallet(owner).address))
  const settled = paid === BigInt(count)

  return [
    { name: 'build and sign', measured: round(each('sign')), unit: 'ms CPU', bar: '≤ 0.4', holds: each('sign') <= 0.4 },
    { name: 'verify', measured: round(each('verify')), unit: 'ms CPU', bar: '≤ 0.2', holds: each('verify') <= 0.2 },
    { name: 'take into the book', measured: round(each('accept')), unit: 'ms CPU', bar: 'printed', holds: null },
    { name: 'sign / bare ed25519', measured: round(each('sign') / each('bareSign')), bar: 'printed', holds: null },
    {
      name: 'verify / bare ed25519',
      measured: round(each('verify') / each('bareVerify')),
      bar: 'printed',
      holds: null,
    },
    { name: 'vouchers refused that are good', measured: wrong, bar: '0', holds: wrong === 0 },
    {
      name: `${count} vouchers settled by one claim`,
      measured: String(settled),
      bar: `true, for ${MANY}`,
      holds: settled ? (count >= MANY ? true : null) : false,
    },
    { name: 'gas of the claim in the channel', measured: gas, bar: 'printed', holds: null },
    { name: 'gas of its transfer in both wallets', measured: wallets.join(' + '), bar: 'printed', holds: null },
  ]
}

/** Ed25519 by node:crypto over 32 bytes, nothing else: what the rest is compared with. */
function bareEd25519(): { sign(): void; verify(): void } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const bytes = randomBytes(32)
  const signature = edSign(null, bytes, privateKey)
  return {
    sign: () => void edSign(null, bytes, privateKey),
    verify: () => void edVerify(null, bytes, publicKey, signature),
  }
}

const round = (value: number): number => Number(value.toPrecision(3))
