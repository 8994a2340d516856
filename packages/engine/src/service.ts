import { LeaseRunner, type Voice } from './lease-runner.ts'
import { TrainingLoop } from './loop.ts'
import type { Pacer } from './pace.ts'
import { fromOrt, type Runtime, type RuntimeSession } from './port.ts'
import type { Fault, OpenReply, PlainTensor, ToChild } from './protocol.ts'

/** What runs where the graphs run, a child process or a Web Worker: does what its parent asks, one call at a time. */
export class Service {
  readonly #runtime: Runtime
  readonly #voice: Voice
  readonly #pacer: Pacer
  readonly #sessions = new Map<number, RuntimeSession>()
  readonly #loops = new Map<number, TrainingLoop>()
  readonly #leases = new Map<number, LeaseRunner>()
  #nextSession = 1

  constructor(runtime: Runtime, voice: Voice, pacer: Pacer) {
    this.#runtime = runtime
    this.#voice = voice
    this.#pacer = pacer
  }

  /** @param done called once a batch's arrays are not read any more */
  receive(message: Exclude<ToChild, { type: 'exit' | 'piped' }>, done: () => void = () => {}): void {
    switch (message.type) {
      case 'lease': {
        const loop = this.#loops.get(message.trainer)
        if (!loop) return
        const runner = new LeaseRunner(loop, message, this.#voice, this.#pacer)
        this.#leases.set(message.lease, runner)
        void runner.run().finally(() => this.#leases.delete(message.lease))
        return
      }
      case 'weights': {
        let from = 0
        for (const place of this.places(message.trainer, message.at, message.part.length)) {
          place.set(message.part.subarray(from, from + place.length))
          from += place.length
        }
        return
      }
      case 'batch': {
        const runner = this.#leases.get(message.lease)
        if (runner) runner.push(message, done)
        else done()
        return
      }
      case 'stop':
        this.#leases.get(message.lease)?.stop()
        return
      case 'pace':
        this.#pacer.set(message.share)
        for (const runner of this.#leases.values()) runner.repace()
        return
      default:
        this.#answer(message).then(
          (value) => this.#voice.send({ type: 'reply', id: message.id, value }),
          (error) => this.#voice.send({ type: 'reply', id: message.id, fault: faultOf(message.type, error) }),
        )
    }
  }

  /** Where a trainer's weights from `at` on are to be written. */
  places(trainer: number, at: number, length: number): Float32Array[] {
    return this.#loops.get(trainer)?.places(at, length) ?? []
  }

  async #answer(call: Extract<ToChild, { id: number }>): Promise<unknown> {
    switch (call.type) {
      case 'open': {
        const session = await this.#runtime.open(call.graph)
        const reply = this.#opened(session)
        this.#sessions.set(reply.session, session)
        return reply
      }
      case 'openTrainer': {
        const session = await this.#runtime.openPlaced(call.graph)
        const reply = this.#opened(session)
        this.#loops.set(reply.session, new TrainingLoop(this.#runtime, session, call.program))
        return reply
      }
      case 'run': {
        const feeds = Object.fromEntries(
          Object.entries(call.feeds).map(([name, tensor]) => [name, this.#runtime.tensor(tensor)]),
        )
        const fetches = Object.fromEntries(call.fetches.map((name) => [name, null]))
        const results = await this.#sessions.get(call.session)!.run(feeds, fetches)
        const plain: Record<string, PlainTensor> = {}
        for (const [name, tensor] of Object.entries(results)) plain[name] = fromOrt(tensor)
        return plain
      }
      case 'saveState':
        return this.#loops.get(call.trainer)!.saveState()
      case 'loadState':
        return this.#loops.get(call.trainer)!.loadState(call.state)
      case 'probe':
        return this.#loops.get(call.trainer)!.probe(call.graph)
      case 'close': {
        const opened = this.#sessions.get(call.session) ?? this.#loops.get(call.session)
        this.#sessions.delete(call.session)
        this.#loops.delete(call.session)
        await opened?.release()
        return undefined
      }
    }
  }

  #opened({ inputs, outputs }: Pick<OpenReply, 'inputs' | 'outputs'>): OpenReply {
    return { session: this.#nextSession++, inputs, outputs }
  }
}

function faultOf(type: string, error: unknown): Fault {
  const message = error instanceof Error ? error.message : String(error)
  return { code: type === 'run' || type === 'probe' ? 'ENGINE_RUN_FAILED' : 'GRAPH_REFUSED', message }
}
