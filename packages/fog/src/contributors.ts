import type { Channel } from '@pingo/network'
import type { ContributorMessage, ContributorView, FogMessage, Hardware, Offer, SliceReport } from '@pingo/wire'

type FogChannel = Channel<FogMessage, ContributorMessage>
type Hello = Extract<ContributorMessage, { type: 'hello' }>
type Heartbeat = Extract<ContributorMessage, { type: 'heartbeat' }>
type Offered = Extract<ContributorMessage, { type: 'offer' }>
type Release = Extract<ContributorMessage, { type: 'release' }>
type Answer = Extract<ContributorMessage, { type: 'answer' }>

/** What a connected contributor tells; crew.ts turns it into events of the core. */
export interface ContributorEvents {
  /** `address`: the multiaddr that it comes from. */
  joined(id: string, hello: Hello, address: string): void
  heartbeat(id: string, heartbeat: Heartbeat): void
  offered(id: string, offered: Offered): void
  released(id: string, release: Release): void
  answered(id: string, answer: Answer): void
  left(id: string, reason: string): void
}

interface Member {
  id: string
  name: string
  channel: FogChannel
  offer: Offer
  hardware: Hardware
  slices: SliceReport[]
  pause: Heartbeat['pause']
  rssBytes: number
  joinedAt: number
  lastSeenAt: number
}

/** The contributors whose channel is open. A second channel of one identity takes the place of the first. */
export class Contributors {
  readonly #members = new Map<string, Member>()
  readonly #events: ContributorEvents
  readonly #clock: () => number

  constructor(events: ContributorEvents, clock: () => number) {
    this.#events = events
    this.#clock = clock
  }

  /** Serves one channel until it closes. The first message must be a hello. */
  async serve(channel: FogChannel, welcome: FogMessage): Promise<void> {
    let member: Member | undefined
    try {
      for await (const message of channel.messages) {
        if (member) {
          member.lastSeenAt = this.#clock()
          if (this.#members.get(member.id) !== member || message.type === 'leave') break
          this.#receive(member, message)
        } else if (message.type === 'hello') {
          member = this.#join(channel, message)
          await channel.send(welcome)
          this.#events.joined(member.id, message, channel.remoteAddress)
        } else break
      }
    } catch {
      // a broken channel ends like a closed one
    } finally {
      await channel.close().catch(() => undefined)
      if (member && this.#members.get(member.id) === member) {
        this.#members.delete(member.id)
        this.#events.left(member.id, 'its connection closed')
      }
    }
  }

  /** Sends without waiting; false when the contributor is not connected. A failed send ends its channel, hence its membership. */
  send(id: string, message: FogMessage): boolean {
    const member = this.#members.get(id)
    if (!member) return false
    member.channel.send(message).catch((error: unknown) => member.channel.abort(error as Error))
    return true
  }

  disconnect(id: string, reason: string): void {
    const member = this.#members.get(id)
    if (!member) return
    this.#members.delete(id)
    member.channel.abort(new Error(reason))
  }

  nameOf(id: string): string | undefined {
    return this.#members.get(id)?.name
  }

  offerOf(id: string): Offer | undefined {
    return this.#members.get(id)?.offer
  }

  get size(): number {
    return this.#members.size
  }

  views(
    details: (id: string) => Pick<ContributorView, 'job' | 'samplesPerSecond' | 'samples' | 'credited'>,
    jobOf: (lease: string) => string | undefined,
  ): ContributorView[] {
    return [...this.#members.values()]
      .map(({ channel: _, slices, ...member }) => ({
        ...member,
        state: stateOf(slices),
        slices: slices.map(({ state, lease }) => ({ state, job: lease === undefined ? undefined : jobOf(lease) })),
        ...details(member.id),
      }))
      .sort((a, b) => a.joinedAt - b.joinedAt || (a.id < b.id ? -1 : 1))
  }

  async close(): Promise<void> {
    const members = [...this.#members.values()]
    this.#members.clear()
    await Promise.all(members.map(({ channel }) => channel.close().catch(() => undefined)))
  }

  #join(channel: FogChannel, hello: Hello): Member {
    const id = channel.peer
    const before = this.#members.get(id)
    const now = this.#clock()
    const member: Member = {
      id,
      name: hello.name,
      channel,
      offer: hello.offer,
      hardware: hello.hardware,
      slices: [],
      pause: undefined,
      rssBytes: 0,
      joinedAt: before?.joinedAt ?? now,
      lastSeenAt: now,
    }
    this.#members.set(id, member)
    before?.channel.abort(new Error('replaced by a newer connection'))
    return member
  }

  #receive(member: Member, message: ContributorMessage): void {
    switch (message.type) {
      case 'heartbeat':
        member.slices = message.slices
        member.pause = message.pause
        member.rssBytes = message.rssBytes
        this.#events.heartbeat(member.id, message)
        return
      case 'offer':
        member.offer = message.offer
        this.#events.offered(member.id, message)
        return
      case 'release':
        this.#events.released(member.id, message)
        return
      case 'answer':
        this.#events.answered(member.id, message)
    }
  }
}

/** What a contributor does, told in one word: the most that one of its slices does. */
function stateOf(slices: readonly SliceReport[]): ContributorView['state'] {
  const states = new Set(slices.map(({ state }) => state))
  return (['training', 'submitting', 'fetching', 'paused'] as const).find((state) => states.has(state)) ?? 'idle'
}
