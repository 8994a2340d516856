import { readFileSync } from 'node:fs'
import { arrayOf, isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { Engine, type Session } from '../index.ts'
import { Link } from '../link.ts'
import { ProcessHost } from '../process-host.ts'
import type { OpenReply } from '../protocol.ts'
import { type Sandbox, sandbox } from '../sandbox/sandbox.ts'
import { ChildSession } from '../session.ts'
import type { Hostile } from './hostile.ts'

/** What became of one: refused with an error; ended with its process, within the limits; or run, as any graph is. */
export interface Outcome {
  how: 'refused' | 'contained' | 'ran'
  code?: string
  millis: number
  /** All that came back, for a search. */
  said: string
}

/** Limits for what is not trusted. */
export const LIMITS = { maxMemoryBytes: 640 << 20, loadTimeoutMs: 4_000, runTimeoutMs: 2_000 }

/** Where graphs are put: opens one, and can be ended. */
interface Opener {
  readonly alive: boolean
  readonly pid: number
  open(graph: Uint8Array): Promise<Session>
  close(): Promise<void>
}

/** An engine as contributors have it. */
export const screened = (): Promise<Opener> => Engine.start({ ...LIMITS, niceness: 19, isolation: 'native' })

/** The same child without the screen: what its walls alone are worth. */
export async function unscreened(): Promise<Opener> {
  const walls: Sandbox = await sandbox()
  const host = await ProcessHost.start({
    settings: { runtime: 'auto', threads: 1 },
    niceness: 19,
    maxMemoryBytes: LIMITS.maxMemoryBytes,
    sandbox: walls,
  })
  const link = new Link(host)
  return {
    pid: host.pid,
    get alive() {
      return link.death === undefined
    },
    async open(graph) {
      const reply = (await link.call({ type: 'open', graph }, LIMITS.loadTimeoutMs)) as OpenReply
      return new ChildSession(link, reply, LIMITS.runTimeoutMs)
    },
    close: () => link.close(),
  }
}

/** Puts graphs to an engine, one after the other; a new one takes the place of one that was ended. */
export class Target {
  readonly #start: () => Promise<Opener>
  #opener: Opener | undefined
  /** Processes that were started. */
  started = 0
  /** Bytes that left a child by any network interface of its own, its loopback too. */
  sentBytes = 0

  constructor(start: () => Promise<Opener>) {
    this.#start = start
  }

  /** @throws what is no PinGoError: a fault of the engine */
  async put({ graph, feeds }: Pick<Hostile, 'graph' | 'feeds'>): Promise<Outcome> {
    if (!this.#opener?.alive) {
      await this.#opener?.close()
      this.#opener = await this.#start()
      this.started++
    }
    const opener = this.#opener
    const began = performance.now()
    const ended = (how: Outcome['how'], said: string, code?: string): Outcome => ({
      how,
      said,
      millis: performance.now() - began,
      ...(code === undefined ? {} : { code }),
    })
    try {
      const session = await opener.open(graph)
      const given = feeds ?? zerosFor(session)
      const results = given ? await session.run(given) : {}
      const said = Object.values(results).map(({ data }) =>
        Buffer.from(data.buffer).toString('latin1').slice(0, 10_000),
      )
      await session.close()
      return ended('ran', said.join())
    } catch (error) {
      if (!isPinGoError(error)) throw error
      const said = `${error.message} ${JSON.stringify(error.details ?? {})}`
      if (opener.alive) return ended('refused', said, error.code)
      return ended('contained', said, error.code)
    } finally {
      this.sentBytes += sentBy(opener.pid)
    }
  }

  async close(): Promise<void> {
    await this.#opener?.close()
  }
}

/** Feeds of zeros, unknown sizes as 2; undefined when they would be many. */
function zerosFor(session: Session): Record<string, Tensor> | undefined {
  const feeds: Record<string, Tensor> = {}
  for (const { name, dtype, shape } of session.inputs) {
    const sizes = shape.map((n) => (typeof n === 'string' ? 2 : n))
    if (!(sizeOf(sizes) <= 1 << 20)) return undefined
    Object.defineProperty(feeds, name, {
      value: { dtype, shape: sizes, data: new arrayOf[dtype](sizeOf(sizes)) },
      enumerable: true,
    })
  }
  return feeds
}

/** What the interfaces of a process's network have sent; 0 where it has the machine's network, which others use. */
function sentBy(pid: number): number {
  try {
    const [own, theirs] = ['self', pid].map((id) => readFileSync(`/proc/${id}/net/dev`, 'latin1'))
    if (own === theirs) return 0
    const counts = theirs!.split('\n').slice(2).filter(Boolean)
    return counts.reduce((sum, line) => sum + Number(line.split(':')[1]!.trim().split(/\s+/)[8]), 0)
  } catch {
    return 0
  }
}
