import type { CID, Code, Locations, Stripe } from '@pingo/wire'
import { decodeLocations, shardCid, storedBytesOf, stripesPerPart } from '../../objects/object.ts'
import { caretakersOf } from '../../placement/caretakers.ts'
import { repairAt } from '../policy.ts'
import type { CaredObject } from '../ports.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

/** A property that must always hold did not. */
export class Violation extends Error {}

/** An object that was acknowledged, as its owner knows it. */
export interface Known {
  id: string
  manifest: CaredObject['manifest']
  stripes: Stripe[]
  forgottenAt: number | undefined
}

/** Looks at all disks at once, which no caretaker can, and knows what must hold. */
export class Oracle {
  readonly #world: World
  readonly objects = new Map<string, Known>()

  constructor(world: World) {
    this.#world = world
  }

  fail(what: string): never {
    throw new Violation(what)
  }

  alive(): Known[] {
    return [...this.objects.values()].filter(({ forgottenAt }) => forgottenAt === undefined)
  }

  /** Shards (or copies) of a stripe that exist somewhere, intact; those of `without` not counted. */
  intact({ manifest: { code } }: Known, stripe: Stripe, without?: SimNode, cid?: CID): number {
    const nodes = this.#world.nodes.filter((node) => node !== without || cid !== undefined)
    const has = (node: SimNode, chunk: CID) =>
      node.has(chunk) && !(node === without && cid !== undefined && chunk.equals(cid))
    if (code.k === 1) return nodes.filter((node) => has(node, shardCid(stripe, code, 0))).length
    return shardsOf(code).filter((shard) => {
      const chunk = shardCid(stripe, code, shard)
      return storedBytesOf(stripe, code, shard) === 0 || nodes.some((node) => has(node, chunk))
    }).length
  }

  /** Whether the network must survive it: enough shards of everything elsewhere, and somebody else who cares. */
  bears(node: SimNode, chunk?: CID): boolean {
    return this.alive().every((object) => {
      const caring = this.#world.nodes.filter(
        (other) => (chunk !== undefined || other !== node) && other.care.ids().includes(object.id),
      )
      const { k } = object.manifest.code
      return caring.length >= 2 && object.stripes.every((stripe) => this.intact(object, stripe, node, chunk) >= k)
    })
  }

  /** After every step. */
  check(): void {
    for (const object of this.alive())
      for (const [index, stripe] of object.stripes.entries()) {
        const intact = this.intact(object, stripe)
        if (intact < object.manifest.code.k)
          this.fail(`${object.id}: stripe ${index} has ${intact} shards left: it is lost`)
      }
  }

  /** A node collected a chunk. One that was ejected is asked for nothing any more: its leases end. */
  collected(node: SimNode, cid: CID): void {
    if (node.isLiar || node.isHung) return
    for (const object of this.alive())
      for (const locations of this.#newest(object))
        if (
          this.#places(object, locations).some((place) => place.peerId === node.record.peerId && place.cid.equals(cid))
        )
          this.fail(`${node.record.peerId} collected a chunk that ${object.id} has there`)
  }

  /** A node that said so days ago goes now. */
  left(node: SimNode): void {
    for (const object of this.alive())
      for (const locations of this.#newest(object))
        if (this.#places(object, locations).some(({ peerId }) => peerId === node.record.peerId))
          this.fail(`${node.record.peerId} left, and ${object.id} still has a shard there`)
  }

  /** When all has been quiet for long enough. */
  settled(): void {
    const { nodes } = this.#world
    for (const object of this.alive()) {
      const { code } = object.manifest
      for (const [index, stripe] of object.stripes.entries()) {
        const intact = this.intact(object, stripe)
        if (intact <= repairAt(code))
          this.fail(`${object.id}: stripe ${index} was left at ${intact} of ${code.k}+${code.m}`)
      }
      const caretakers = caretakersOf(
        object.id,
        nodes.filter(({ record }) => record.state === 'active'),
      )
      for (const node of caretakers)
        if (!node.isLiar && !node.care.ids().includes(object.id))
          this.fail(`${node.record.peerId} should care for ${object.id}`)
      this.#spread(object, caretakers[0]!)
      for (const locations of this.#newest(object))
        for (const { peerId } of this.#places(object, locations)) {
          const isLiar = nodes.some(({ record, isLiar }) => isLiar && record.peerId === peerId)
          if (isLiar && caretakers[0]!.standings.get(peerId)?.state !== 'ejected')
            this.fail(`${peerId}, which lies, was not found out by ${caretakers[0]!.record.peerId}`)
        }
    }
    for (const node of nodes)
      for (const [peerId, { state }] of node.standings)
        if (state === 'ejected' && this.#world.known.some((other) => other.record.peerId === peerId && !other.isFaulty))
          this.fail(`${peerId}, which is honest, was ejected by ${node.record.peerId}`)
  }

  /** When the leases of all that is not wanted have ended. */
  clean(): void {
    const { nodes } = this.#world
    for (const { id, forgottenAt } of this.objects.values())
      if (forgottenAt !== undefined)
        for (const node of nodes)
          if (node.care.ids().includes(id)) this.fail(`${node.record.peerId} still cares for ${id}, forgotten`)
    const wanted = new Set<string>()
    for (const object of this.alive())
      for (const locations of this.#newest(object))
        for (const { peerId, cid } of this.#places(object, locations)) wanted.add(`${peerId} ${cid}`)
    for (const node of nodes) {
      if (node.isLiar) continue
      const kept = node.care.kept()
      for (const key of node.chunks.keys())
        if (!kept.has(key) && !wanted.has(`${node.record.peerId} ${key}`))
          this.fail(`${node.record.peerId} still has a chunk that nobody wants`)
    }
  }

  /** No two shards in one domain while a node that its caretaker would take has a domain to itself. */
  #spread(object: Known, caretaker: SimNode): void {
    const usable = this.#world.nodes.filter(({ record, isFaulty }) => {
      const state = caretaker.standings.get(record.peerId)?.state ?? 'new'
      return record.state === 'active' && record.freeBytes > 0 && !isFaulty && (state === 'new' || state === 'vetted')
    })
    for (const locations of this.#newest(object)) {
      const byStripe = Map.groupBy(this.#places(object, locations), ({ stripe }) => stripe)
      for (const [stripe, places] of byStripe) {
        const domains = places.flatMap(
          ({ peerId }) => this.#world.nodes.find(({ record }) => record.peerId === peerId)?.record.domain ?? [],
        )
        const used = new Set(domains)
        if (used.size < domains.length && usable.some(({ record }) => !used.has(record.domain)))
          this.fail(`${object.id}: two shards of stripe ${stripe} share a domain while another has none`)
      }
    }
  }

  /** Locations of the newest version of part 0, by those who have it: several when they differ. */
  #newest({ id }: Known): Locations[] {
    const told = this.#world.nodes.flatMap((node) => node.care.locationsOf(id, 0) ?? [])
    const newest = Math.max(...told.map(({ version }) => version ?? 0))
    return told.filter(({ version }) => (version ?? 0) === newest).slice(0, 1)
  }

  #places(object: Known, locations: Locations) {
    const { manifest, stripes } = object
    if (stripes.length > stripesPerPart(manifest.code)) throw new Error('the simulator has objects of one part')
    return decodeLocations(locations, manifest, 0).flatMap((holders, stripe) =>
      holders.flatMap((peerId, shard) =>
        peerId === undefined ? [] : [{ peerId, stripe, cid: shardCid(stripes[stripe]!, manifest.code, shard) }],
      ),
    )
  }
}

const shardsOf = ({ k, m }: Code) => Array.from({ length: k + m }, (_, shard) => shard)
