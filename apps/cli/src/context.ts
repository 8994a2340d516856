import type { Client, ConnectOptions } from '@pingo/client'
import { parseBytes } from '@pingo/client/local'
import { Command, InvalidArgumentError } from 'commander'
import { Output } from './output.ts'

/** What every command is given. */
export interface Context {
  /** Aborted by Ctrl-C and SIGTERM. */
  signal: AbortSignal
}

export interface JsonOption {
  json?: boolean
}
export interface ClientOptions extends JsonOption {
  fog?: string
  token?: string
}

/** A command with --json and examples in its help. */
export function command(name: string, description: string, examples: string[]): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print JSON on stdout, all else on stderr')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`)
}

/** A command that speaks with a fog node. */
export function clientCommand(name: string, description: string, examples: string[]): Command {
  return command(name, description, examples)
    .option('--fog <url>', "the fog node's address (default: PINGO_FOG, else the one that runs on this machine)")
    .option('--token <token>', 'what the fog node asks of those who submit, stop and store (default: PINGO_TOKEN)')
}

/** Runs `work` with a client and closes it behind. */
export async function withClient<T>(
  options: ClientOptions,
  work: (client: Client, output: Output) => Promise<T>,
): Promise<T> {
  const { connect } = await import('@pingo/client')
  const where: ConnectOptions = { url: options.fog, token: options.token }
  const client = await connect(where)
  try {
    return await work(client, new Output(options))
  } finally {
    await client.close()
  }
}

/** For commander: a number within bounds. */
export function numberFrom(min: number, max: number, o: { integer?: boolean } = {}): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= min && value <= max) || (o.integer && !Number.isInteger(value)))
      throw new InvalidArgumentError(`It must be a ${o.integer ? 'whole ' : ''}number from ${min} to ${max}.`)
    return value
  }
}
export const port = numberFrom(0, 65_535, { integer: true })

/** For commander: a size in bytes. */
export function size(text: string): number {
  const bytes = parseBytes(text)
  if (bytes === undefined || bytes <= 0) throw new InvalidArgumentError('It must be a size such as 512Mi or 2Gi.')
  return bytes
}
