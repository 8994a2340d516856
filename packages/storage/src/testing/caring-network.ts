import { createIdentity, type Identity } from '@pingo/wire'
import type { CareEvent } from '../durability/part-care.ts'
import { AccessTokens } from '../nodes/access.ts'
import { HttpNodeMap } from '../nodes/node-map.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { storageNode, type TestNode } from './storage-nodes.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Nodes over HTTP and real disks that see to what is in their care when they are told to; a test sets the one clock of all ahead. */
export class CaringNetwork implements AsyncDisposable {
  readonly events: CareEvent[] = []
  readonly owner: Identity
  /** Of those that live. */
  readonly nodes: TestNode[] = []
  readonly #leaving = new Set<TestNode>()
  #aheadMs = 0
  #map: HttpNodeMap | undefined

  private constructor(owner: Identity) {
    this.owner = owner
  }

  static async of(n: number): Promise<CaringNetwork> {
    const network = new CaringNetwork(await createIdentity())
    for (let i = 0; i < n; i++) await network.join()
    await network.meet()
    return network
  }

  clock = (): number => Date.now() + this.#aheadMs

  async join(): Promise<TestNode> {
    const node = await storageNode({
      seeds: this.nodes.map(({ url }) => ({ url })),
      clock: this.clock,
      turnMs: HOUR_MS, // they talk when they are to meet
      care: { tickMs: 0, onEvent: (event) => void this.events.push(event) },
    })
    this.nodes.push(node)
    return node
  }

  async stop(node: TestNode): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    await node.close()
  }

  async leave(node: TestNode): Promise<void> {
    this.#leaving.add(node)
    node.service.set({ state: 'leaving' })
    await this.meet()
  }

  /** The nodes as the owner sees them. */
  async map(): Promise<HttpNodeMap> {
    if (!this.#map) {
      const until = this.clock() + 300 * DAY_MS
      const allowance = await this.nodes[0]!.service.allowance(this.owner.peerId, 2 ** 40, until)
      this.#map = new HttpNodeMap({
        seeds: this.nodes.map(({ url }) => ({ url })),
        access: new AccessTokens(this.owner, () => allowance, this.clock),
        clock: this.clock,
      })
    }
    await this.#map.refresh()
    return this.#map
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()))
  }

  /** The nodes talk until each knows how all others are. */
  async meet(): Promise<void> {
    const state = (node: TestNode) => (this.#leaving.has(node) ? 'leaving' : 'active')
    const knows = (a: TestNode, b: TestNode) => a.membership.book.get(b.peerId)?.record.state === state(b)
    while (!this.nodes.every((a) => this.nodes.every((b) => a === b || knows(a, b))))
      for (const node of this.nodes) await node.membership.turn()
  }

  async advance(ms: number): Promise<void> {
    this.#aheadMs += ms
    await this.meet()
  }

  /** All see to what is due, one after another. */
  async tick(): Promise<void> {
    for (const node of [...this.nodes]) await node.tick()
  }

  /** An hour goes by and all see to what is due, until it is as it should be: on a busy machine an answer may come too late. */
  async tickUntil(isDone: () => boolean): Promise<void> {
    for (let hour = 0; hour < 48 && !isDone(); hour++) {
      await this.advance(1.1 * HOUR_MS)
      await this.tick()
    }
  }

  byId(peerId: string): TestNode | undefined {
    return this.nodes.find((node) => node.peerId === peerId)
  }

  caretakers(id: string): TestNode[] {
    const staying = this.nodes.filter((node) => !this.#leaving.has(node))
    const records = staying.map((node) => ({ record: { peerId: node.peerId, domain: node.peerId } }))
    return caretakersOf(id, records as never[]).map(({ record }: (typeof records)[0]) => this.byId(record.peerId)!)
  }
}
