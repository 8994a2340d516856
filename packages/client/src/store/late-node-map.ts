import { HttpNodeMap, type HttpNodeMapOptions, type NodeMap, type Source, type StorageNode } from '@pingo/storage'

/** Nodes that are looked for when they are needed first: what only reads the index of this machine asks nobody. */
export class LateNodeMap implements NodeMap {
  readonly #o: Omit<HttpNodeMapOptions, 'seeds'>
  #map: HttpNodeMap | undefined

  constructor(o: Omit<HttpNodeMapOptions, 'seeds'>) {
    this.#o = o
  }

  /** @throws PinGoError SOURCE_UNREACHABLE when nobody answers */
  async open(seeds: readonly Source[], signal?: AbortSignal): Promise<void> {
    try {
      if (this.#map) return await this.#map.refresh({ signal })
    } catch {
      signal?.throwIfAborted() // all that were known are gone; whoever is named now may be another
    }
    const map = new HttpNodeMap({ ...this.#o, seeds })
    await map.refresh({ signal })
    this.#map = map
  }

  live(): StorageNode[] {
    return this.#map?.live() ?? []
  }

  get(peerId: string): StorageNode | undefined {
    return this.#map?.get(peerId)
  }

  known(): number {
    return this.#map?.known() ?? 0
  }

  rtt(peerId: string): number | undefined {
    return this.#map?.rtt(peerId)
  }

  reputation(peerId: string): number {
    return this.#map?.reputation(peerId) ?? 0.5
  }

  isVetted(peerId: string): boolean {
    return this.#map?.isVetted(peerId) ?? false
  }

  async refresh(o: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#map?.refresh(o)
  }
}
