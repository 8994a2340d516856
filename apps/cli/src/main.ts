import { CommanderError } from 'commander'
import { EXIT } from './exit.ts'
import { Output, reportError } from './output.ts'
import { createProgram } from './program.ts'

/** The whole command: parses, runs, and settles the exit code. */
export async function main(args: string[]): Promise<void> {
  // A reader that goes away (`pingo job logs ID | head`) ends the command, quietly.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed))
  const interrupt = new AbortController()
  let interrupts = 0
  const stop = () => {
    if (++interrupts > 1) process.exit(EXIT.interrupted)
    interrupt.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop)
  try {
    await createProgram({ signal: interrupt.signal }).parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = codeOf(error, args)
  }
  // Nothing is waited for any more: kept connections and timers do not hold the command up.
  await flushed()
  process.exit()
}

function codeOf(error: unknown, args: string[]): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage // commander has said why
  return reportError(error, new Output({ json: args.includes('--json') }))
}

async function flushed(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))),
  )
}
