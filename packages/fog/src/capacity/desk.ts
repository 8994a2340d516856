import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { networkOf } from '@pingo/storage'
import {
  CHALLENGE_ANSWER_BYTES,
  type ContributorMessage,
  type Credit,
  type FogMessage,
  type Offer,
  slicesOf,
} from '@pingo/wire'
import type { Logger } from 'pino'
import type { ContributorEvents } from '../contributors.ts'
import { type CapacityPace, type CapacityState, createCapacity, stepCapacity, wakeOf } from './core.ts'
import type { CapacityEvent, Challenge } from './types.ts'
import { type Check, Verifier } from './verifier.ts'

/**
 * Links of one contributor that are computed anew in each session, chosen by chance after they came. Who invents a part p of its answers goes unseen in a session
 * with probability (1 − p)^8: half invented 0.4 %, a tenth 43 %, a tenth over three sessions 8 %.
 */
const CHECKS = 8

type Answer = Extract<ContributorMessage, { type: 'answer' }>

export interface CapacityDeskPorts {
  send(peer: string, message: FogMessage): void
  /** What a contributor is credited has changed. */
  credited(peer: string, credit: Credit): void
  logger: Logger
}

interface Known {
  /** The last question; answers to an older one are not looked at. */
  asked: Challenge | undefined
  checks: Check[]
  /** Answers seen in this session, for a fair choice among them. */
  seen: number
}

/** The shell of the capacity proof: what contributors say goes to the core with the time, its challenges go out, answers are sampled and computed anew. */
export class CapacityDesk {
  readonly #state: CapacityState
  readonly #known = new Map<string, Known>()
  readonly #verifier = new Verifier()
  readonly #ports: CapacityDeskPorts
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(ports: CapacityDeskPorts, pace?: CapacityPace) {
    this.#ports = ports
    this.#state = createCapacity(pace)
  }

  creditOf(peer: string): Credit | undefined {
    return this.#state.peers.get(peer)?.credit
  }

  /** Listens to what contributors tell, beside whom it is told to. */
  beside(events: Omit<ContributorEvents, 'answered'>): ContributorEvents {
    return {
      joined: (id, hello, address) => {
        events.joined(id, hello, address)
        this.#join(id, hello.offer, hello.flops, addressBlock(address))
        const credit = this.creditOf(id)
        if (credit) this.#ports.credited(id, credit)
      },
      heartbeat: (id, heartbeat) => {
        events.heartbeat(id, heartbeat)
        const paused = heartbeat.slices.length > 0 && heartbeat.slices.every(({ state }) => state === 'paused')
        this.#dispatch({ type: 'state', at: performance.now(), peer: id, paused })
      },
      offered: (id, offered) => {
        events.offered(id, offered)
        const cluster = this.#state.peers.get(id)?.cluster
        if (cluster !== undefined) this.#join(id, offered.offer, offered.flops, cluster)
        const credit = this.creditOf(id)
        if (credit) this.#ports.credited(id, credit)
      },
      released: events.released,
      answered: (id, answer) => this.#answered(id, answer),
      left: (id, reason) => {
        this.#known.delete(id)
        events.left(id, reason)
        this.#dispatch({ type: 'left', at: performance.now(), peer: id })
      },
    }
  }

  /** Settles when all answers that were chosen are computed anew. */
  checked(): Promise<void> {
    return this.#verifier.idle()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#verifier.close()
  }

  #join(peer: string, offer: Offer, flopsOfCore: number, cluster: string): void {
    this.#known.set(peer, { asked: undefined, checks: [], seen: 0 })
    const claim = { slices: slicesOf(offer).map(({ cores }) => cores), flops: flopsOfCore * offer.cores }
    this.#dispatch({ type: 'joined', at: performance.now(), peer, cluster, claim })
  }

  #answered(peer: string, { challenge, slice, state, flops, answers }: Answer): void {
    const at = performance.now()
    const links = (answers?.byteLength ?? 0) / CHALLENGE_ANSWER_BYTES
    const known = this.#known.get(peer)
    if (known?.asked?.id === challenge && known.asked.step === 'work' && links > 0)
      this.#sample(
        known,
        { peer, slice, seed: known.asked.seed, products: known.asked.products[0]!, answers: answers!, link: 0 },
        links,
      )
    this.#dispatch({
      type: 'answer',
      at,
      peer,
      challenge,
      slice,
      state,
      links,
      ...(flops === undefined ? {} : { flops }),
    })
  }

  /** Each link of a session is as likely to be looked at as any other (reservoir sampling, Vitter's algorithm R). */
  #sample(known: Known, check: Check, links: number): void {
    for (let link = 0; link < links; link++) {
      const place = known.seen++ < CHECKS ? known.checks.length : Math.floor(uniform() * known.seen)
      if (place < CHECKS) known.checks[place] = { ...check, link }
    }
  }

  #dispatch(event: CapacityEvent): void {
    if (this.#closed) return
    for (const command of stepCapacity(this.#state, event, { random: uniform, seed: () => randomBytes(32) })) {
      const { peer } = command
      if (command.type === 'send') {
        const known = this.#known.get(peer)
        if (known) known.asked = command.challenge
        this.#ports.send(peer, command.challenge)
        continue
      }
      const { credit } = command
      this.#ports.credited(peer, credit)
      if (command.type !== 'credited') continue
      this.#ports.send(peer, { type: 'credited', shown: command.shown, credit })
      const { cores, flops, flag } = credit
      this.#ports.logger.info({ contributor: peer, cores, flops, shown: command.shown, flag }, 'capacity shown')
      this.#verify(peer)
    }
    this.#wake()
  }

  /** After a session, so that the work on this machine does not slow down contributors that are on it too. */
  #verify(peer: string): void {
    const known = this.#known.get(peer)
    if (!known) return
    for (const check of known.checks)
      this.#verifier.check(check, (valid) => {
        if (valid) return
        this.#ports.logger.warn({ contributor: peer }, 'an answer to a challenge is wrong')
        this.#dispatch({ type: 'checked', at: performance.now(), peer, valid })
      })
    Object.assign(known, { asked: undefined, checks: [], seen: 0 })
  }

  #wake(): void {
    clearTimeout(this.#timer)
    const at = wakeOf(this.#state)
    if (at === Number.POSITIVE_INFINITY) return
    const ms = Math.min(Math.max(0, at - performance.now()), 2 ** 30)
    this.#timer = setTimeout(() => this.#dispatch({ type: 'tick', at: performance.now() }), ms)
    this.#timer.unref()
  }
}

/** In [0, 1), of 48 bits that nobody can foresee. */
const uniform = (): number => randomBytes(6).readUIntBE(0, 6) / 2 ** 48

/** What stands in one place: the address block (/24 of IPv4, /56 of IPv6) of a multiaddr or a plain address; all addresses of this machine are one. */
export function addressBlock(remote: string): string {
  const host = remote.startsWith('/') ? (remote.split('/')[2] ?? '') : remote
  const address = host.replace(/^::ffff:/, '')
  const own = Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map((one) => one.address))
  if (address.startsWith('127.') || own.includes(address)) return 'this machine'
  return isIP(address) ? networkOf(address) : host
}
