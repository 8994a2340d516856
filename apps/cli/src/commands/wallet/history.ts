import type { HistoryEntry, Movement } from '@pingo/chain'
import type { Command } from 'commander'
import { type ChainOptions, chainCommand, withChain } from '../../chain.ts'
import { type Context, numberFrom } from '../../context.ts'
import { strangers, time } from '../../format.ts'
import { knownMinter, withMinter } from './pingo.ts'
import { loadWallet, type WalletOptions, walletFileCommand } from './wallet-file.ts'

const MAX_SHOWN = 100

interface HistoryOptions extends WalletOptions, ChainOptions {
  minter?: string
  limit: number
}

export function historyCommand({ signal }: Context): Command {
  return withMinter(
    chainCommand(
      walletFileCommand('history', 'List what came and went, the newest first.', [
        'pingo wallet history',
        'pingo wallet history --network testnet --limit 50 --json',
      ]),
    ),
  )
    .option('--limit <n>', 'transactions at most', numberFrom(1, MAX_SHOWN, { integer: true }), 20)
    .action(async (flags: HistoryOptions) => {
      const file = await loadWallet(flags.wallet)
      await withChain(flags, async (endpoint, output) => {
        const { formatAddress, formatAmount, w5Of, walletHistory } = await import('@pingo/chain')
        const { address } = w5Of(Buffer.from(file.publicKey, 'hex'), endpoint.network)
        const minter = await knownMinter(endpoint, flags)
        const entries = await walletHistory(endpoint, address, { limit: flags.limit, minter, signal })
        const peer = ({ peer }: Movement) =>
          peer ? formatAddress(peer, { network: endpoint.network, bounceable: true }) : ''
        const json = (entry: HistoryEntry) => ({
          at: new Date(entry.at).toISOString(),
          hash: entry.hash.toString('hex'),
          lt: entry.lt.toString(),
          ok: entry.ok,
          fee: formatAmount(entry.fee),
          movements: entry.movements.map((movement) => ({
            ...movement,
            amount: formatAmount(movement.amount),
            peer: movement.peer?.toRawString() ?? null,
          })),
        })
        output.result(entries.map(json), () => {
          if (entries.length === 0) return output.say('Nothing came and nothing went.')
          const rows = entries.flatMap(({ at, ok, fee, movements }) => {
            const shown = movements.map((movement) => [
              time(at),
              `${movement.direction === 'in' ? '+' : '-'}${formatAmount(movement.amount)}`,
              movement.asset,
              peer(movement),
              strangers(movement.comment ?? ''),
            ])
            return ok ? shown : [...shown, [time(at), `-${formatAmount(fee)}`, 'GRAM', 'nothing came of it', '']]
          })
          output.table([['TIME', 'AMOUNT', '', 'FROM, TO', 'COMMENT'], ...rows], [1])
        })
      })
    })
}
