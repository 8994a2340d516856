/**
 * The child process: loads ONNX Runtime and does what its parent asks, one call at a time. It opens no file of the user's
 * and no socket, runs in an empty folder, and ends when its parent does.
 */
import { rmSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { BatchInbox, type FromReader } from './batch-inbox.ts'
import { BATCHES_FD, type ChildSettings, type FromChild, type ToChild } from './protocol.ts'
import { loadRuntime } from './runtime.ts'
import { Service } from './service.ts'

const settings = JSON.parse(process.argv[2]!) as ChildSettings
/** V8's own collector (`--expose-gc`), which does not hurry for memory outside its heap. */
const collect = (globalThis as { gc?(options: { type: 'major' | 'minor' }): void }).gc

/** Weights may be hundreds of megabytes: each part is gone before the next one is made. */
function send(message: FromChild): Promise<void> | void {
  if (message.type !== 'weights') {
    process.send!(message)
    return
  }
  return new Promise((resolve) => {
    process.send!(message, undefined, undefined, () => {
      ;(message.part.buffer as ArrayBuffer).transfer(0)
      collect?.({ type: 'minor' })
      resolve()
    })
  })
}

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

const runtime = await loadRuntime(settings)
const service = new Service(runtime, send)
const inbox = new BatchInbox(
  (place) => thread.postMessage(place),
  (batch, done) => service.receive(batch, done),
)
thread.on('message', (said: FromReader) => inbox.receive(said))

process.on('message', (message: ToChild) => {
  if (message.type === 'exit') leave()
  if (message.type === 'openTrainer') inbox.expect(message.program)
  service.receive(message)
  if (message.type === 'weights') collect?.({ type: 'minor' })
  if (message.type === 'lease') inbox.opened(message.lease)
})

send({ type: 'ready', runtime: runtime.name, version: runtime.version })

function leave(): never {
  try {
    rmSync(process.cwd(), { recursive: true, force: true })
  } catch {}
  process.exit(0)
}
