/**
 * The child process: loads ONNX Runtime and does what its parent asks, one call at a time. It opens no file of the user's
 * and no socket, runs in an empty folder, and ends when its parent does.
 */
import { rmSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { LeaseRunner } from './lease-runner.ts'
import { TrainingLoop } from './loop.ts'
import type { ChildSettings, Fault, FromChild, OpenReply, PlainTensor, ToChild } from './protocol.ts'
import { fromOrt, loadRuntime, type RuntimeSession } from './runtime.ts'

const settings = JSON.parse(process.argv[2]!) as ChildSettings
const send = (message: FromChild): void => {
  process.send!(message)
}

// Ctrl-C in a terminal reaches the whole group: the parent decides what becomes of work in progress.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', leave)
// `run` blocks this thread, so a thread of its own notices a parent that was killed meanwhile.
new Worker(new URL('./orphan-guard.js', import.meta.url), {
  workerData: { parent: process.ppid, folder: process.cwd() },
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 4 },
}).unref()

const runtime = await loadRuntime(settings)
const sessions = new Map<number, RuntimeSession>()
const loops = new Map<number, TrainingLoop>()
const leases = new Map<number, LeaseRunner>()
let nextSession = 1

process.on('message', (message: ToChild) => {
  switch (message.type) {
    case 'lease': {
      const loop = loops.get(message.trainer)
      if (!loop) return
      const runner = new LeaseRunner(loop, message, send)
      leases.set(message.lease, runner)
      void runner.run().finally(() => leases.delete(message.lease))
      return
    }
    case 'batch':
      leases.get(message.lease)?.push(message)
      return
    case 'stop':
      leases.get(message.lease)?.stop()
      return
    case 'exit':
      leave()
      return
    default:
      answer(message).then(
        (value) => send({ type: 'reply', id: message.id, value }),
        (error) => send({ type: 'reply', id: message.id, fault: faultOf(message.type, error) }),
      )
  }
})

send({ type: 'ready', runtime: runtime.name, version: runtime.version })

async function answer(call: Extract<ToChild, { id: number }>): Promise<unknown> {
  switch (call.type) {
    case 'open':
      return opened(await runtime.open(call.graph))
    case 'openTrainer': {
      const session = await runtime.open(call.graph)
      const reply = opened(session)
      loops.set(reply.session, new TrainingLoop(runtime, session, call.program))
      return reply
    }
    case 'run': {
      const feeds = Object.fromEntries(
        Object.entries(call.feeds).map(([name, tensor]) => [name, runtime.tensor(tensor)]),
      )
      const fetches = Object.fromEntries(call.fetches.map((name) => [name, null]))
      const results = await sessions.get(call.session)!.run(feeds, fetches)
      const plain: Record<string, PlainTensor> = {}
      for (const [name, tensor] of Object.entries(results)) plain[name] = fromOrt(tensor)
      return plain
    }
    case 'close': {
      const session = sessions.get(call.session)
      sessions.delete(call.session)
      loops.delete(call.session)
      await session?.release()
      return undefined
    }
  }
}

function opened(session: RuntimeSession): OpenReply {
  const id = nextSession++
  sessions.set(id, session)
  return { session: id, inputs: session.inputs, outputs: session.outputs }
}

function faultOf(type: string, error: unknown): Fault {
  const message = error instanceof Error ? error.message : String(error)
  return { code: type === 'run' ? 'ENGINE_RUN_FAILED' : 'GRAPH_REFUSED', message }
}

function leave(): never {
  try {
    rmSync(process.cwd(), { recursive: true, force: true })
  } catch {}
  process.exit(0)
}
