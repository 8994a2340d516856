import type { Command } from 'commander'
import { type ChainOptions, chainCommand, withChain } from '../../chain.ts'
import { type Context, command } from '../../context.ts'
import { whole } from '../../format.ts'
import { callLocalChain } from './local-rpc.ts'

/** Gas of a plain PINGO transfer between two wallets that exist, and the messages that it takes: `npm run bench -- chain`. */
const TRANSFER_GAS = 11_512n

export function statusCommand({ signal }: Context): Command {
  return chainCommand(
    command('status', 'See a chain: its time, its prices, and for the one on this machine its height and size.', [
      'pingo chain status',
      'pingo chain status --network mainnet --json',
    ]),
  ).action((flags: ChainOptions) =>
    withChain(flags, async (endpoint, output) => {
      const { formatAmount, gasFee, pricesOf } = await import('@pingo/chain')
      const [now, config] = await Promise.all([endpoint.now({ signal }), endpoint.config({ signal })])
      const prices = pricesOf(config)
      const local =
        flags.network === 'local' && flags.server.length === 0
          ? await callLocalChain('pingo.status', {}, signal)
          : undefined
      const status = {
        network: flags.network,
        id: endpoint.network,
        now,
        nanoPerGas: Number(prices.gas) / 2 ** 16,
        transferGasFee: formatAmount(gasFee(prices, TRANSFER_GAS)),
        ...local,
      }
      output.result(status, () => {
        const row = (what: string, value: string) => output.say(`${output.colour.dim(what.padEnd(13))}${value}`)
        row('network', `${flags.network} (${endpoint.network})`)
        row('time', new Date(now * 1000).toISOString())
        row('gas', `${status.nanoPerGas} nano-GRAM each; a PINGO transfer burns ${status.transferGasFee} GRAM of it`)
        if (!local) return
        row('block', whole(Number(local.block)))
        row('transactions', whole(Number(local.transactions)))
        row('accounts', whole(Number(local.accounts)))
        row('state', String(local.state))
      })
    }),
  )
}
