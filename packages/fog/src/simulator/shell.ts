import {
  deltaNorm,
  type JobCore,
  type JobEvent,
  type JobSettings,
  type MergeUpdate,
  mergeRound,
  restoreJob,
} from '@pingo/training'
import {
  createFog,
  type FogCommand,
  type FogEvent,
  type FogState,
  peerOf,
  pendingFogCommands,
  stepFog,
} from '../core/index.ts'
import type { VirtualClock } from './clock.ts'
import { type Checkpoint, checkpointName, PARAMETERS } from './model.ts'
import {
  type Answer,
  type Connection,
  cidOfUpdate,
  type Downward,
  type Network,
  type SimulatedUpdate,
  type Upward,
} from './network.ts'
import type { Oracle } from './oracle.ts'
import type { Random } from './random.ts'

/** Part of the flushes for which the disk takes its time. */
const STALL = 0.03

/** What survives a crash of the fog node. */
export interface Disk {
  jobs: Map<string, { snapshot: JobCore; journal: JobEvent[]; memoryBytes: number; submittedAt: number }>
  updates: Map<string, SimulatedUpdate>
  files: Map<string, Checkpoint>
}

export interface ShellPorts {
  clock: VirtualClock
  random: Random
  network: Network
  oracle: Oracle
  disk: Disk
  deliver(connection: Connection, message: Downward): void
  closed(connection: Connection): void
  note(what: string): void
}

/** A write on its way to the disk, and what may be done once it is there. */
interface Write {
  apply: (() => void)[]
  commands: FogCommand[]
}

/**
 * The shell of the scheduler as a simulation: one process life of a fog node. Writes become durable in order and a little later;
 * a command is carried out when everything before it is durable. A crash takes the rest.
 */
export class SimulatedShell {
  #alive = true
  #state: FogState = createFog()
  readonly #ports: ShellPorts
  readonly #connections = new Map<string, Connection>()
  readonly #answers = new Map<string, ((answer: Answer) => void)[]>()
  readonly #merging = new Set<string>()
  readonly #writes: Write[] = []
  #syncing = false
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(ports: ShellPorts) {
    this.#ports = ports
  }

  /** Takes up the jobs that the disk knows. */
  restore(): void {
    for (const [job, { snapshot, journal, memoryBytes, submittedAt }] of this.#ports.disk.jobs) {
      const core = restoreJob(JSON.parse(JSON.stringify(snapshot)), JSON.parse(JSON.stringify(journal)))
      this.#ports.oracle.restored(job, core)
      this.handle({ type: 'job-restored', at: this.#now, core, memoryBytes, submittedAt })
      this.#enqueue({ apply: [], commands: pendingFogCommands(this.#state, job) })
    }
  }

  submit(settings: JobSettings, base: Checkpoint, memoryBytes: number): void {
    const cid = checkpointName(base)
    this.#ports.disk.files.set(cid, base)
    this.handle({ type: 'job-submitted', at: this.#now, settings, base: { cid, bytes: 1 }, memoryBytes })
  }

  /** Feeds one event to the scheduler. `files`: what must be on the disk before its commands are carried out. */
  handle(event: FogEvent, files: (() => void)[] = []): void {
    if (!this.#alive) return
    const { oracle, disk } = this.#ports
    const step = stepFog(this.#state, event)
    oracle.stepped(this.#state, event, step)
    this.#state = step.state
    const apply = [...files]
    const coreOf = (job: string): JobCore => step.state.jobs[job]!.core
    if (event.type === 'job-submitted') {
      const { settings, memoryBytes, at: submittedAt } = event
      const record = { snapshot: coreOf(settings.job), journal: [], memoryBytes, submittedAt }
      apply.push(() => disk.jobs.set(settings.job, record))
    }
    for (const entry of step.journal) apply.push(() => disk.jobs.get(entry.job)?.journal.push(entry.event))
    for (const { job } of step.commands.filter((command) => command.type === 'committed'))
      apply.push(() => Object.assign(disk.jobs.get(job)!, { snapshot: coreOf(job), journal: [] }))
    const changed = step.journal.map((entry) => entry.job)
    if (event.type === 'job-submitted') changed.push(event.settings.job)
    for (const job of new Set(changed)) apply.push(() => oracle.durable(job, coreOf(job)))
    if (apply.length > 0 || step.commands.length > 0) this.#enqueue({ apply, commands: step.commands })
  }

  /** The process ends; of the writes under way, the first few may have reached the disk. */
  crash(): void {
    this.#alive = false
    const { random, closed, note } = this.#ports
    const kept = random.between(0, this.#writes.length)
    note(`fog node killed, ${kept} of ${this.#writes.length} writes kept`)
    for (const write of this.#writes.slice(0, kept)) for (const apply of write.apply) apply()
    for (const connection of this.#connections.values()) {
      connection.open = false
      closed(connection)
    }
  }

  /** True while this is the contributor's connection. */
  knows(connection: Connection): boolean {
    return this.#connections.get(connection.contributor) === connection
  }

  receive(connection: Connection, message: Upward): void {
    if (!this.#alive || !connection.open) return
    const { contributor } = connection
    const at = this.#now
    const current = this.#connections.get(contributor)
    if (message.type === 'hello') {
      if (current !== undefined && current.id >= connection.id) return
      if (current !== undefined) this.#drop(current)
      this.#connections.set(contributor, connection)
      const { offer, flops, leases } = message
      this.handle({ type: 'contributor-joined', at, contributor, offer, flops, leases })
      this.#send(contributor, { type: 'welcome' })
    } else if (current !== connection) return
    else if (message.type === 'heartbeat') this.handle({ ...message, type: 'contributor-heartbeat', at, contributor })
    else if (message.type === 'offer')
      this.handle({ type: 'contributor-offer', at, contributor, offer: message.offer, flops: 0 })
    else if (message.type === 'leave') {
      this.#connections.delete(contributor)
      this.handle({ type: 'contributor-left', at, contributor })
    } else
      this.handle({
        type: 'released',
        at,
        job: message.lease.slice(0, message.lease.lastIndexOf('.')),
        contributor,
        lease: message.lease,
        reason: message.reason,
        code: message.code,
        message: message.message,
      })
  }

  /** The other end of a connection is gone, and the operating system says so. */
  disconnected(connection: Connection): void {
    if (!this.#alive || this.#connections.get(connection.contributor) !== connection) return
    this.#connections.delete(connection.contributor)
    this.handle({ type: 'contributor-left', at: this.#now, contributor: connection.contributor })
  }

  /** `PUT /v1/leases/{lease}/update`. */
  put(update: SimulatedUpdate, respond: (answer: Answer) => void): void {
    if (!this.#alive) return
    const { delta, buffers: _, ...report } = update
    let norm: number
    try {
      norm = deltaNorm(delta, PARAMETERS)
    } catch {
      respond({ accepted: false, code: 'UPDATE_MALFORMED' })
      return
    }
    const cid = cidOfUpdate(update)
    this.#answers.set(update.lease, [...(this.#answers.get(update.lease) ?? []), respond])
    const event = { type: 'update' as const, at: this.#now, ...report, update: cid, norm }
    this.handle(event, [() => this.#ports.disk.updates.set(cid, update)])
  }

  get #now(): number {
    return this.#ports.clock.now
  }

  #enqueue(write: Write): void {
    this.#writes.push(write)
    if (!this.#syncing) this.#sync()
  }

  /** One flush of all that waits; what comes in meanwhile is in the next one. Without a write there is nothing to wait for. */
  #sync(): void {
    while (this.#writes.length > 0 && this.#writes[0]!.apply.length === 0)
      this.#carryOut(this.#writes.shift()!.commands)
    const count = this.#writes.length
    if (count === 0) return
    this.#syncing = true
    const { random, clock } = this.#ports
    clock.after(random.chance(STALL) ? random.between(50, 400) : random.between(1, 4), () => {
      if (!this.#alive) return
      this.#syncing = false
      for (let i = 0; i < count; i++) {
        const { apply, commands } = this.#writes.shift()!
        for (const write of apply) write()
        this.#carryOut(commands)
      }
      this.#sync()
    })
  }

  #carryOut(commands: readonly FogCommand[]): void {
    for (const command of commands) {
      this.#ports.note(describe(command))
      this.#ports.oracle.carriedOut(command)
      this.#do(command)
    }
  }

  #do(command: FogCommand): void {
    switch (command.type) {
      case 'wake':
        this.#setWake(command.at)
        return
      case 'disconnect': {
        const connection = this.#connections.get(command.contributor)
        if (connection !== undefined) this.#drop(connection)
        return
      }
      case 'grant':
        this.#send(command.lease.contributor, { type: 'lease', job: command.job, lease: command.lease })
        return
      case 'revoke':
        this.#send(command.contributor, { type: 'revoke', lease: command.lease })
        return
      case 'answer': {
        const [respond, ...others] = this.#answers.get(command.lease) ?? []
        this.#answers.set(command.lease, others)
        respond?.({ accepted: command.accepted, code: command.code })
        return
      }
      case 'merge':
        this.#merge(command)
        return
      case 'committed':
        for (const { contributor, lease, samples } of command.round.included)
          this.#send(contributor, { type: 'included', job: command.job, lease, round: command.round.round, samples })
        return
      case 'finished':
    }
  }

  /** Reads the updates back from the disk, merges, writes the result, and only then says so. */
  #merge({ job, round, base, included }: Extract<FogCommand, { type: 'merge' }>): void {
    const key = `${job}/${round}`
    if (this.#merging.has(key)) return
    this.#merging.add(key)
    const { disk, oracle, clock, random } = this.#ports
    clock.after(random.between(5, 200), () => {
      if (!this.#alive) return
      const before = disk.files.get(base.cid)!
      const updates = included.map(({ lease, update, samples }): MergeUpdate => {
        const stored = disk.updates.get(update)
        if (stored === undefined) return oracle.fail(`update ${update} of ${lease} was accepted and is not on the disk`)
        return { id: lease, weight: samples, delta: stored.delta, buffers: stored.buffers }
      })
      const outer = this.#state.jobs[job]!.core.settings.outer
      const after = mergeRound({ ...before, updates, outer })
      const cid = checkpointName(after)
      disk.files.set(cid, after)
      this.handle({ type: 'merged', at: this.#now, job, round, base: { cid, bytes: 1 } })
    })
  }

  #send(slice: string, message: Downward): void {
    const { network, deliver, oracle } = this.#ports
    const contributor = peerOf(slice)
    const connection = this.#connections.get(contributor)
    const lost = (): void => oracle.lost(contributor, message)
    if (connection === undefined) {
      lost()
      return
    }
    network.send(() => {
      if (connection.open && this.#now >= connection.cutUntil) deliver(connection, message)
      else lost()
    }, lost)
  }

  #drop(connection: Connection): void {
    if (this.#connections.get(connection.contributor) === connection) this.#connections.delete(connection.contributor)
    connection.open = false
    this.#ports.closed(connection)
  }

  #setWake(at: number): void {
    if (at >= this.#wakeAt && this.#wakeAt >= this.#now) return
    this.#wakeAt = at
    this.#ports.clock.after(at - this.#now, () => {
      if (!this.#alive || this.#wakeAt !== at) return
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.handle({ type: 'tick', at: this.#now })
    })
  }
}

function describe(command: FogCommand): string {
  switch (command.type) {
    case 'wake':
      return `wake ${command.at}`
    case 'disconnect':
      return `disconnect ${command.contributor}`
    case 'grant':
      return `grant ${command.lease.id} to ${command.lease.contributor}: ${command.lease.ranges.join(' ')}`
    case 'revoke':
    case 'answer':
      return `${command.type} ${command.lease}`
    case 'merge':
      return `merge ${command.job} round ${command.round} of ${command.included.length}`
    case 'committed':
      return `committed ${command.job} round ${command.round.round}: ${command.round.base.cid}`
    case 'finished':
      return `finished ${command.job} ${command.state}`
  }
}
