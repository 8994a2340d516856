#!/usr/bin/env node
// Starts the `pingo` command. Plain JavaScript for Node 18 and newer: where the running Node is too old for the sources
// (TypeScript, run without a build), it hands over to the Node 24 that npm installed beside them.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as modules from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED_MAJOR = 24
const here = dirname(fileURLToPath(import.meta.url))

// A contributor is a guest: a small young generation and no helper threads of V8 keep it 40 MB smaller, for a slower start.
// What the C library has freed goes back to the owner at once: glibc keeps it else, in a pool for each thread and among small
// blocks that are still in use (30 MB in a lease), so blocks of 32 KiB and more have pages of their own.
const isGuest = process.argv[2] === 'contribute' && (process.argv[3] ?? '-').startsWith('-')
// A fog node that is idle must not hold on to the young generation of its start: 40 MB. Blocks do not lie in it.
const isFog = process.argv[2] === 'fog' && !['status', 'leave'].includes(process.argv[3])
const flags = isGuest
  ? ['--max-semi-space-size=1', '--v8-pool-size=0', '--expose-gc']
  : isFog
    ? ['--max-semi-space-size=8']
    : []
const guestEnv = isGuest
  ? { MALLOC_TRIM_THRESHOLD_: '65536', MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '32768' }
  : {}

if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) {
  takeFlags()
  endWithStarter()
  modules.enableCompileCache?.()
  const { main } = await import('../src/main.ts')
  await main(process.argv.slice(2))
} else {
  handOver(findNode())
}

/** The Node of npm's platform package for this machine, looked for from here upwards. */
function findNode() {
  const { platform, arch } = process
  const binary = platform === 'win32' ? join('bin', 'node.exe') : join('bin', 'node')
  const names = [`node-${platform === 'win32' ? 'win' : platform}-${arch}`, `node-bin-${platform}-${arch}`]
  for (let folder = here; ; folder = dirname(folder)) {
    const found = names.map((name) => join(folder, 'node_modules', name, binary)).find((path) => existsSync(path))
    if (found) return found
    if (dirname(folder) === folder) break
  }
  process.stderr.write(
    `pingo: this is Node ${process.versions.node} and PinGo needs Node ${NEEDED_MAJOR}, which is not installed beside it.\n` +
      `Run \`npm install\` in PinGo's folder, or install Node ${NEEDED_MAJOR} or newer from https://nodejs.org.\n`,
  )
  process.exit(1)
}

/** Runs this file again by another Node: same terminal, signals passed on, same exit code. */
function handOver(node) {
  const child = spawn(node, [...flags, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...guestEnv, PINGO_STARTER: String(process.pid) },
  })
  const forward = (signal) => {
    // A terminal sends Ctrl-C to both of us: passing it on would be a second one.
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, forward)
  child.on('error', (error) => {
    process.stderr.write(`pingo: Node ${NEEDED_MAJOR} at ${node} does not start: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const each of signals) process.off(each, forward)
    process.exitCode = 128 + (constants.signals[signal] ?? 0)
    process.kill(process.pid, signal)
  })
}

/** Starts this process anew, in place, with the flags that it lacks; where the system cannot, it goes on without. */
function takeFlags() {
  if (process.channel || !process.execve || flags.every((flag) => process.execArgv.includes(flag))) return
  const [node, ...args] = process.argv
  process.execve(node, [node, ...process.execArgv, ...flags, ...args], { ...process.env, ...guestEnv })
}

/** A handed-over process ends at once when its starter is killed, as if it had been killed itself. */
function endWithStarter() {
  const starter = process.env.PINGO_STARTER
  delete process.env.PINGO_STARTER
  if (!process.channel || starter !== String(process.ppid)) return
  process.channel.unref()
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
}
