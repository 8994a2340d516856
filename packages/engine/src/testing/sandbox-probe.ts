/**
 * What a program in the child's place can do: run by tests with the command line that children get. Its argument is JSON: a port to connect to, a file
 * to read and a folder to write to, both of the user's, and a process to signal. It prints JSON.
 */
import { execFileSync } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

const { port, file, folder, parent } = JSON.parse(process.argv[2]!) as {
  port: number
  file: string
  folder: string
  parent: number
}

const attempt = <T>(what: () => T): T | string => {
  try {
    return what()
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}
const reached = (host: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 })
    const settle = (word: string): void => {
      socket.destroy()
      resolve(word)
    }
    socket.once('connect', () => settle('connected'))
    socket.once('timeout', () => settle('timeout'))
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? 'error'))
  })

const result = {
  connect: attempt(() => reached('127.0.0.1')),
  dns: lookup('example.com').then(
    () => 'resolved',
    (error) => error.code,
  ),
  interfaces: attempt(() => Object.keys(networkInterfaces()).filter((name) => name !== 'lo')),
  file: attempt(() => readFileSync(file, 'utf8')),
  passwd: attempt(() => readFileSync('/etc/passwd', 'latin1').length > 0),
  root: attempt(() => readdirSync('/').sort()),
  here: attempt(() => readdirSync('.')),
  write: [folder, '.'].map((path) => attempt(() => writeFileSync(join(path, 'written'), 'x'))),
  environment: Object.keys(process.env).filter((name) => name !== 'PWD'),
  signal: attempt(() => process.kill(parent, 0)),
  program: attempt(() => execFileSync(process.execPath, ['--version'], { encoding: 'utf8' }).trim()),
  thread: new Promise((resolve) => {
    const worker = new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true })
    worker.once('message', resolve).once('error', (error) => resolve(String(error)))
  }),
  wasm: WebAssembly.validate(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)),
  cores: attempt(() => navigator.hardwareConcurrency),
}
const entries = await Promise.all(Object.entries(result).map(async ([name, value]) => [name, await value]))
console.log(JSON.stringify(Object.fromEntries(entries)))
