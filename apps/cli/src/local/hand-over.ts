import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { EXIT, Exit } from '../exit.ts'

/** Set for a version that another one started: it starts no further one. */
const INSTALLED = 'PINGO_INSTALLED'

/**
 * Where an update installed a newer version, that one runs in place of this one: with the same arguments, by the same Node.
 * Returns when there is none.
 * @param o.entry the file that starts it; not asked for in a version that was itself started so
 * @throws Exit where the system cannot replace a process: the newer version ran beside this one and has ended
 */
export async function handOver(o: {
  entry: () => Promise<string | undefined>
  args: readonly string[]
  signal: AbortSignal
}): Promise<void> {
  const isInstalled = process.env[INSTALLED] !== undefined
  delete process.env[INSTALLED]
  const entry = isInstalled ? undefined : await o.entry()
  if (entry === undefined) return
  const words = [...process.execArgv, entry, ...o.args]
  const env = { ...process.env, [INSTALLED]: '1' }
  if (process.execve && !process.channel && process.platform !== 'win32')
    process.execve(process.execPath, [process.execPath, ...words], env)
  // with a channel it ends when this process does, however that ends (bin/pingo.js)
  const child = spawn(process.execPath, words, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...env, PINGO_STARTER: String(process.pid) },
  })
  // a terminal sends Ctrl-C to both
  const end = () => process.stdin.isTTY || child.kill('SIGTERM')
  o.signal.addEventListener('abort', end)
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    throw new Exit(code ?? (signal ? 128 + constants.signals[signal] : EXIT.failed))
  } finally {
    o.signal.removeEventListener('abort', end)
  }
}
