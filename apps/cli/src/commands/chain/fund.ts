import type { Command } from 'commander'
import { type Context, command, type JsonOption } from '../../context.ts'
import { Output } from '../../output.ts'
import { callLocalChain } from './local-rpc.ts'

export function fundCommand({ signal }: Context): Command {
  return command('fund', 'Give an account GRAM on the chain of this machine.', [
    'pingo chain fund UQ…',
    'pingo chain fund UQ… 250.5',
  ])
    .argument('<address>', 'who gets it')
    .argument('[amount]', 'GRAM', '1000')
    .action(async (to: string, amount: string, options: JsonOption) => {
      const { formatAmount, LOCAL, parseAddress, parseAmount } = await import('@pingo/chain')
      const { address } = parseAddress(to, LOCAL)
      const nano = parseAmount(amount)
      await callLocalChain('pingo.fund', { address: address.toRawString(), amount: nano.toString() }, signal)
      const output = new Output(options)
      output.result({ address: to, gram: formatAmount(nano) }, () =>
        output.say(`${formatAmount(nano)} GRAM went to ${to}.`),
      )
    })
}
