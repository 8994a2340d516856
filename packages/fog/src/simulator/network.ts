import type { LeaseGrant, UpdateReport } from '@pingo/training'
import type { ContributorMessage, Offer, SliceReport } from '@pingo/wire'
import type { VirtualClock } from './clock.ts'
import { nameOf } from './model.ts'
import type { Faults } from './options.ts'
import type { Random } from './random.ts'

/** A signed update as it travels. */
export interface SimulatedUpdate extends Omit<UpdateReport, 'update' | 'norm'> {
  job: string
  delta: Uint8Array
  buffers: Float32Array
}

const names = new WeakMap<SimulatedUpdate, string>()

/** The CID that an update is stored by. */
export function cidOfUpdate(update: SimulatedUpdate): string {
  let name = names.get(update)
  if (name === undefined) {
    const { delta, buffers, ...report } = update
    name = nameOf(Object.values(report).join(' '), delta, buffers)
    names.set(update, name)
  }
  return name
}

export interface Answer {
  accepted: boolean
  code?: string
}

/** Fog node → contributor. */
export type Downward =
  | { type: 'welcome' }
  | { type: 'lease'; job: string; lease: LeaseGrant }
  | { type: 'revoke'; lease: string }
  | { type: 'included'; job: string; lease: string; round: number; samples: number }

/** Contributor → fog node; releases and heartbeats as on the wire, without what scheduling does not read. */
export type Upward =
  | { type: 'hello'; leases: string[]; flops: number; offer: Offer }
  | { type: 'heartbeat'; slices: SliceReport[] }
  | Extract<ContributorMessage, { type: 'release' | 'offer' | 'leave' }>

/** One control connection; ids grow with time. */
export interface Connection {
  readonly id: number
  readonly contributor: string
  open: boolean
  /** Everything is lost on it until then. */
  cutUntil: number
}

/** A network that loses, doubles, delays and reorders each message on its own: harsher than streams are. */
export class Network {
  readonly #clock: VirtualClock
  readonly #random: Random
  readonly #faults: Faults

  constructor(clock: VirtualClock, random: Random, faults: Faults) {
    this.#clock = clock
    this.#random = random
    this.#faults = faults
  }

  /** Delivers once, twice or never; `lost` runs when it is never. */
  send(deliver: () => void, lost: () => void = () => undefined): void {
    const { loss, duplicate, slow } = this.#faults
    if (this.#random.chance(loss)) {
      lost()
      return
    }
    const copies = this.#random.chance(duplicate) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const delay = this.#random.chance(slow) ? this.#random.between(500, 6_000) : this.#random.between(1, 80)
      this.#clock.after(delay, deliver)
    }
  }
}
