import type { LeaseGrant } from '@pingo/training'
import { HEARTBEAT_MS } from '@pingo/wire'
import { forgery } from './forge.ts'
import { train } from './model.ts'
import type { Answer, Connection, Downward, SimulatedUpdate } from './network.ts'
import type { World } from './world.ts'

const HELLO_RETRY_MS = 1_500
const ANSWER_TIMEOUT_MS = 1_500
const MAX_ATTEMPTS = 6

interface Work {
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
  readonly memoryBytes: number
  readonly #claimsFlops: boolean
  #running = false
  #leaving = false
  #frozenUntil = 0
  #connection: Connection | undefined
  #work: Work | undefined
  /** Lives so far: plans of an earlier one are void. */
  #life = 0
  readonly #fences = new Map<string, number>()

  constructor(id: string, world: World) {
    this.id = id
    this.#world = world
    this.stepMs = world.random.between(50, 450)
    this.memoryBytes = world.random.pick([1, 2, 4])
    this.#claimsFlops = world.random.chance(0.8)
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
    const work = this.#work
    this.#leaving = true
    if (work?.state === 'training') {
      const steps = Math.floor((this.#world.clock.now - work.startedAt) / this.stepMs)
      if (steps >= 1) {
        this.#submit(work, Math.min(steps, stepsOf(work.lease)))
        return
      }
      this.#send({ type: 'release', lease: work.lease.id, reason: 'leaving' })
    }
    if (work?.state !== 'submitting') this.#leave()
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
        if (message.lease === this.#work?.lease.id) this.#drop()
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
    const leases = this.#work === undefined ? [] : [this.#work.lease.id]
    const flops = this.#claimsFlops ? 1e9 / this.stepMs : 0
    const offer = { cores: 1, memoryBytes: this.memoryBytes, diskBytes: 0 }
    this.#send({ type: 'hello', leases, flops, offer })
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
      const work = this.#work
      if (!frozen)
        this.#send({
          type: 'heartbeat',
          state: work?.state ?? 'idle',
          ...(work === undefined ? {} : { lease: work.lease.id }),
        })
      this.#beat(life)
    })
  }

  #take(job: string, lease: LeaseGrant): void {
    const { random, clock, options, oracle } = this.#world
    if (lease.fence <= (this.#fences.get(job) ?? 0)) return // doubled, or overtaken by a later one
    this.#fences.set(job, lease.fence)
    if (this.#leaving) {
      this.#send({ type: 'release', lease: lease.id, reason: 'leaving' })
      return
    }
    if (this.#work !== undefined) this.#drop()
    if (random.chance(options.faults.refuse)) {
      this.#send({ type: 'release', lease: lease.id, reason: random.pick(['refused', 'paused'] as const) })
      return
    }
    const work: Work = { job, lease, state: 'fetching', startedAt: clock.now }
    this.#work = work
    clock.after(random.chance(0.02) ? random.between(500, 3_000) : random.between(2, 60), () => {
      if (this.#work !== work) return
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
        if (this.#work !== work || work.state !== 'training') return
        if (random.chance(options.faults.fail)) {
          this.#send({
            type: 'release',
            lease: work.lease.id,
            reason: 'failed',
            code: 'ENGINE_DIED',
            message: 'It died.',
          })
          this.#drop()
        } else if (random.chance(options.faults.late)) {
          const update = this.#updateOf(work, steps)
          clock.after(random.between(2_000, 60_000), () =>
            this.#world.put(update, (answer) => this.#world.oracle.answered(update, answer)),
          )
          this.#drop()
        } else this.#submit(work, steps)
      }),
    )
  }

  #submit(work: Work, steps: number): void {
    if (!this.#running || this.#work !== work) return
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
    if (!this.#running || this.#work !== work) return
    this.#world.put(update, (answer) => this.#whenThawed(() => this.#answered(work, update, answer)))
    this.#world.clock.after(ANSWER_TIMEOUT_MS, () => {
      if (attempt < MAX_ATTEMPTS) this.#put(work, update, attempt + 1)
      else if (this.#work === work) this.#drop()
    })
  }

  #answered(work: Work, update: SimulatedUpdate, answer: Answer): void {
    this.#world.oracle.answered(update, answer)
    if (this.#work === work) this.#drop()
  }

  #drop(): void {
    this.#work = undefined
    if (this.#leaving) this.#leave()
  }

  #leave(): void {
    this.#send({ type: 'leave' })
    this.#stop(true)
  }

  #stop(closes: boolean): void {
    this.#running = false
    this.#life++
    this.#work = undefined
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
