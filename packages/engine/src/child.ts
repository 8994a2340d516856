/**
 * The child process: loads ONNX Runtime and does what its parent asks, one call at a time. It opens no file of the user's
 * and no socket, runs in an empty folder, and ends when its parent does.
 */
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { BatchInbox, type FromReader } from './batch-inbox.ts'
import { Leftovers } from './leftovers.ts'
import { removeFolder } from './own-folder.js'
import { Pacer } from './pace.ts'
import { BATCHES_FD, type ChildSettings, type FromChild, type ToChild } from './protocol.ts'
import { loadRuntime } from './runtime.ts'
import { Service } from './service.ts'
import { readWeights, writeWeights } from './weight-pipe.ts'

const settings = JSON.parse(process.argv[2]!) as ChildSettings
const send = (message: FromChild): void => void process.send!(message)

// Ctrl-C in a terminal reaches the whole group: the parent decides what becomes of work in progress.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', leave)
// `run` blocks this thread, so a thread of its own notices a parent that was killed meanwhile, and reads what comes.
const thread = new Worker(new URL('./side-thread.js', import.meta.url), {
  workerData: { parent: process.ppid, folder: process.cwd(), batches: BATCHES_FD },
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 4 },
})
thread.unref()

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const pacer = new Pacer({ now: () => performance.now(), used: cpuMs }, settings.threads, settings.pace)
const runtime = await loadRuntime(settings)
if (runtime.name === 'onnxruntime-node') compileOnce()
const service = new Service(runtime, { send, handBack: writeWeights }, pacer)
const inbox = new BatchInbox(
  (place) => thread.postMessage(place),
  (batch, done) => service.receive(batch, done),
)
const leftovers = new Leftovers()
thread.on('message', (said: FromReader) => inbox.receive(said))

process.on('message', (message: ToChild) => {
  if (message.type === 'exit') leave()
  if (message.type === 'run') leftovers.passed(message.feeds)
  if (message.type === 'openTrainer') inbox.expect(message.program)
  if (message.type === 'piped') readWeights(message.length, service.places(message.trainer, message.at, message.length))
  else service.receive(message)
  if (message.type === 'lease') inbox.opened(message.lease)
})

send({ type: 'ready', runtime: runtime.name, version: runtime.version })

function leave(): never {
  removeFolder(process.cwd())
  process.exit(0)
}

/**
 * What computes much is native, or written for a compiler that goes over it once (kernel/wasm.ts): V8's optimising compiler would gain a few per
 * cent of what is left, and takes 6 MB of memory for itself. WebAssembly in the native library's place wants it.
 */
function compileOnce(): void {
  for (const flag of ['--no-opt', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag)
}
