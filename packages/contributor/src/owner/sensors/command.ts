import { execFile } from 'node:child_process'

const TIMEOUT_MS = 3_000
const MAX_OUTPUT_BYTES = 1 << 20

/** Runs a program and says what it printed; undefined when it is not there, fails, or takes too long. Never a shell, never throws. */
export type Run = (program: string, args: readonly string[]) => Promise<string | undefined>

export const runProgram: Run = (program, args) =>
  new Promise((resolve) => {
    execFile(
      program,
      args,
      { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES, windowsHide: true, encoding: 'utf8' },
      (error, stdout) => resolve(error ? undefined : stdout),
    )
  })

/** A value of D-Bus as busctl prints it: 't 1234', 'b true'. */
export const busValue = (text: string | undefined): string | undefined => /^[a-z] (\S+)\s*$/.exec(text ?? '')?.[1]

/** What failed is tried again after so long: a machine does not get a desktop every few seconds. */
const RETRY_MS = 300_000
const MAX_FAILED = 100

/** Does not repeat what failed of late. `clock` in ms. */
export function patient(run: Run, clock: () => number): Run {
  const failed = new Map<string, number>()
  return async (program, args) => {
    const key = [program, ...args].join('\0')
    const at = failed.get(key)
    if (at !== undefined && Math.abs(clock() - at) < RETRY_MS) return undefined
    const said = await run(program, args)
    failed.delete(key)
    if (said === undefined && failed.size < MAX_FAILED) failed.set(key, clock())
    return said
  }
}
