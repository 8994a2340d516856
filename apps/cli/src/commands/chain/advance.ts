import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { type Context, command, type JsonOption } from '../../context.ts'
import { Output } from '../../output.ts'
import { callLocalChain } from './local-rpc.ts'

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, y: 365 * 86_400 }

export function advanceCommand({ signal }: Context): Command {
  return command('advance', 'Set the clock of the chain of this machine forward: vesting and emission at once.', [
    'pingo chain advance 30d',
    'pingo chain advance 4y',
  ])
    .argument('<time>', 'how far, such as 90s, 12h, 30d, 4y')
    .action(async (time: string, options: JsonOption) => {
      const { now } = await callLocalChain('pingo.advance', { seconds: secondsOf(time) }, signal)
      const output = new Output(options)
      const at = new Date(Number(now) * 1000).toISOString()
      output.result({ now, at }, () => output.say(`The chain's clock says ${at}.`))
    })
}

function secondsOf(text: string): number {
  const match = /^(\d{1,6})([smhdy])$/.exec(text)
  if (!match)
    throw new PinGoError(
      'USAGE_TIME',
      `${JSON.stringify(text.slice(0, 40))} is no time: it is a number with s, m, h, d or y, such as 30d.`,
    )
  return Number(match[1]) * (SECONDS[match[2] as string] as number)
}
