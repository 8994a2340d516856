import type { LeaseGrant } from '@pingo/training'
import { HEARTBEAT_MS, type Offer } from '@pingo/wire'
import { indexOf } from '../core/index.ts'
import { forgery } from './forge.ts'
import { train } from './model.ts'
import type { Answer, Connection, Downward, SimulatedUpdate } from './network.ts'
import type { World } from './world.ts'

const HELLO_RETRY_MS = 1_500
const ANSWER_TIMEOUT_MS = 1_500
const MAX_ATTEMPTS = 6

interface Work {
  slice: number
  job: string
  lease: LeaseGrant
  state: 'fetching' | 'training' | 'submitting'
  startedAt: number
}

/** A contributor: joins, trains leases, submits and re-submits, and everything that can happen to it. */
export class SimulatedContributor {
  readonly id: string
  readonly #world: World
  /** ms for one step. */
  readonly stepMs: number
  /** Memory of each of its slices. */
  #memory: number[]
  readonly #claimsFlops: boolean
  #running = false
  #leaving = false
  #frozenUntil = 0
  #connection: Connection | undefined
  /** By slice. */
  readonly #works = new Map<number, Work>()
  /** Lives so far: plans of an earlier one are void. */
  #life = 0
  readonly #fences = new Map<string, number>()

  constructor(id: string, world: World) {
    this.id = id
    this.#world = world
    this.stepMs = world.random.between(50, 450)
    this.#memory = this.#anyMemory()
    this.#claimsFlops = world.random.chance(0.8)
  }

  /** One in four is divided. */
  #anyMemory(): number[] {
    const { random } = this.#world
    const slices = random.chance(0.25) ? random.between(2, 4) : 1
    return Array.from({ length: slices }, (_, i) => random.pick(i === 0 ? [1, 2, 4] : [0, 1, 2, 4]))
  }

  get slices(): number {
    return this.#memory.length
  }

  get #offer(): Offer {
    const slices = this.#memory.map((memoryBytes) => ({ cores: 1, memoryBytes }))
    return { cores: slices.length, memoryBytes: this.#memory.reduce((sum, bytes) => sum + bytes), diskBytes: 0, slices }
  }

  get isRunning(): boolean {
    return this.#running
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    this.#leaving = false
    this.#life++
    this.#connect()
    this.#beat(this.#life)
  }

  /** kill -9: memory is gone. Its machine closes the connection, or is gone too. */
  kill(): void {
    this.#stop(this.#world.random.chance(0.6))
  }

  /** SIGTERM: what is done is submitted, then it leaves. */
  terminate(): void {
    this.#whenThawed(() => this.#wind())
  }

  #wind(): void {
    if (!this.#running || this.#leaving) return
    this.#leaving = true
    const works = [...this.#works.values()]
    for (const work of works) this.#windUp(work)
    if (this.#works.size === 0 && this.#running) this.#leave()
  }

  /** Hands in what is done of a lease, or gives it back. */
  #windUp(work: Work): void {
    if (work.state === 'submitting') return
    const steps = Math.floor((this.#world.clock.now - work.startedAt) / this.stepMs)
    if (work.state === 'training' && steps >= 1) {
      this.#submit(work, Math.min(steps, stepsOf(work.lease)))
      return
    }
    if (work.state === 'training') this.#send({ type: 'release', lease: work.lease.id, reason: 'leaving' })
    this.#works.delete(work.slice)
  }

  /** Its owner lends something else from now on. */
  change(): void {
    this.#whenThawed(() => {
      if (!this.#running || this.#leaving) return
      const before = this.#memory
      this.#memory = this.#anyMemory()
      this.#send({ type: 'offer', offer: this.#offer, flops: 0 })
      for (const work of [...this.#works.values()])
        if ((this.#memory[work.slice] ?? 0) < before[work.slice]!) this.#windUp(work)
    })
  }

  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#world.clock.now + ms)
  }

  /** Its network is cut: everything on its connection is lost for a while. */
  cut(ms: number): void {
    if (this.#connection !== undefined) this.#connection.cutUntil = this.#world.clock.now + ms
  }

  receive(connection: Connection, message: Downward): void {
    this.#whenThawed(() => {
      if (!this.#running || connection !== this.#connection) {
        if (message.type === 'included') this.#world.oracle.lost(this.id, message)
        return
      }
      if (message.type === 'lease') this.#take(message.job, message.lease)
      else if (message.type === 'revoke') {
        for (const work of [...this.#works.values()]) if (work.lease.id === message.lease) this.#drop(work)
      } else if (message.type === 'included') this.#world.oracle.included(this.id, message)
    })
  }

  /** The connection is closed; it knows at once or finds out later. */
  closed(connection: Connection): void {
    if (connection !== this.#connection) return
    this.#connection = undefined
    this.#world.clock.after(this.#world.random.between(50, 2_000), () => this.#connect())
  }

  #connect(): void {
    if (!this.#running || this.#leaving || this.#connection !== undefined) return
    const world = this.#world
    const connection = world.connect(this.id)
    this.#connection = connection
    const leases = [...this.#works.values()].map(({ lease }) => lease.id)
    const flops = this.#claimsFlops ? 1e9 / this.stepMs : 0
    this.#send({ type: 'hello', leases, flops, offer: this.#offer })
    world.clock.after(HELLO_RETRY_MS, () => {
      if (this.#connection !== connection || world.isJoined(connection)) return
      connection.open = false
      this.#connection = undefined
      this.#connect()
    })
  }

  #beat(life: number): void {
    this.#world.clock.after(HEARTBEAT_MS, () => {
      if (life !== this.#life) return
      const frozen = this.#world.clock.now < this.#frozenUntil
      if (!frozen)
        this.#send({
          type: 'heartbeat',
          slices: this.#memory.map((_, slice) => {
            const work = this.#works.get(slice)
            return work === undefined ? { state: 'idle' as const } : { state: work.state, lease: work.lease.id }
          }),
        })
      this.#beat(life)
    })
  }

  #take(job: string, lease: LeaseGrant): void {
    const { random, clock, options, oracle } = this.#world
    const key = `${job} ${indexOf(lease.contributor)}`
    if (lease.fence <= (this.#fences.get(key) ?? 0)) return // doubled, or overtaken by a later one
    this.#fences.set(key, lease.fence)
    if (this.#leaving) {
      this.#send({ type: 'release', lease: lease.id, reason: 'leaving' })
      return
    }
    const slice = indexOf(lease.contributor)
    const before = this.#works.get(slice)
    if (before !== undefined) this.#drop(before)
    if (slice >= this.#memory.length) {
      this.#send({ type: 'release', lease: lease.id, reason: 'paused' })
      return
    }
    if (random.chance(options.faults.refuse)) {
      this.#send({ type: 'release', lease: lease.id, reason: random.pick(['refused', 'paused'] as const) })
      return
    }
    const work: Work = { slice, job, lease, state: 'fetching', startedAt: clock.now }
    this.#works.set(slice, work)
    clock.after(random.chance(0.02) ? random.between(500, 3_000) : random.between(2, 60), () => {
      if (!this.#holds(work)) return
      if (!this.#world.disk.files.has(lease.base.cid))
        oracle.fail(`the base ${lease.base.cid} of ${lease.id} is not there`)
      this.#train(work)
    })
  }

  #train(work: Work): void {
    const { random, clock, options } = this.#world
    work.state = 'training'
    work.startedAt = clock.now
    if (random.chance(options.faults.stuck)) return
    const steps = Math.min(stepsOf(work.lease), Math.max(1, Math.ceil(work.lease.softMs / this.stepMs)))
    clock.after(steps * this.stepMs, () =>
      this.#whenThawed(() => {
        if (!this.#holds(work) || work.state !== 'training') return
        if (random.chance(options.faults.fail)) {
          this.#send({
            type: 'release',
            lease: work.lease.id,
            reason: 'failed',
            code: 'ENGINE_DIED',
            message: 'It died.',
          })
          this.#drop(work)
        } else if (random.chance(options.faults.late)) {
          const update = this.#updateOf(work, steps)
          clock.after(random.between(2_000, 60_000), () =>
            this.#world.put(update, (answer) => this.#world.oracle.answered(update, answer)),
          )
          this.#drop(work)
        } else this.#submit(work, steps)
      }),
    )
  }

  #submit(work: Work, steps: number): void {
    if (!this.#running || !this.#holds(work)) return
    work.state = 'submitting'
    const { random, options } = this.#world
    const update = this.#updateOf(work, steps)
    if (random.chance(options.faults.forge)) {
      const forged = forgery(update, work.lease, random)
      this.#world.clock.after(random.pick([0, 0, 50, 200]), () => this.#world.put(forged, () => undefined))
    }
    this.#put(work, update, 1)
  }

  #updateOf({ job, lease }: Work, steps: number): SimulatedUpdate {
    const { disk, settings } = this.#world
    const { totalSamples, seed } = settings.get(job)!
    const { delta, buffers, samples, lossSum } = train(
      disk.files.get(lease.base.cid)!,
      lease,
      steps,
      seed,
      totalSamples,
    )
    const { id, fence, round, base } = lease
    const millis = steps * this.stepMs
    const report = { job, contributor: this.id, lease: id, fence, round, base: base.cid, steps, samples, lossSum }
    return { ...report, metricSum: 0, millis, delta, buffers }
  }

  /** At least once: until there is an answer. */
  #put(work: Work, update: SimulatedUpdate, attempt: number): void {
    if (!this.#running || !this.#holds(work)) return
    this.#world.put(update, (answer) => this.#whenThawed(() => this.#answered(work, update, answer)))
    this.#world.clock.after(ANSWER_TIMEOUT_MS, () => {
      if (attempt < MAX_ATTEMPTS) this.#put(work, update, attempt + 1)
      else if (this.#holds(work)) this.#drop(work)
    })
  }

  #answered(work: Work, update: SimulatedUpdate, answer: Answer): void {
    this.#world.oracle.answered(update, answer)
    if (this.#holds(work)) this.#drop(work)
  }

  #holds(work: Work): boolean {
    return this.#works.get(work.slice) === work
  }

  #drop(work: Work): void {
    this.#works.delete(work.slice)
    if (this.#leaving && this.#works.size === 0) this.#leave()
  }

  #leave(): void {
    this.#send({ type: 'leave' })
    this.#stop(true)
  }

  #stop(closes: boolean): void {
    this.#running = false
    this.#life++
    this.#works.clear()
    this.#fences.clear()
    const connection = this.#connection
    this.#connection = undefined
    if (connection !== undefined && closes) this.#world.hangUp(connection)
  }

  #send(message: Parameters<World['up']>[1]): void {
    if (this.#connection !== undefined) this.#world.up(this.#connection, message)
  }

  #whenThawed(run: () => void): void {
    const { clock } = this.#world
    if (clock.now >= this.#frozenUntil) run()
    else clock.after(this.#frozenUntil - clock.now, () => this.#whenThawed(run))
  }
}

const stepsOf = (lease: LeaseGrant): number => lease.ranges.reduce((sum, [from, to]) => sum + to - from, 0)
