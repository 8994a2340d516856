import type { ChunkProof, CID, Commit, Locations, NodeRecord } from '@pingo/wire'
import type { Asker } from './access.ts'
import { openNodeRecord } from './node-book.ts'
import { openObjectRecord } from './object-record.ts'
import type { CallOptions, ObjectState, StorageNode } from './port.ts'
import type { StorageService } from './service.ts'

/** The storage of this very process as one of the network's nodes: a fog node needs no request to ask itself. */
export class LocalStorageNode implements StorageNode {
  readonly #service: StorageService
  readonly #asker: Asker
  #record: NodeRecord

  private constructor(service: StorageService, record: NodeRecord) {
    this.#service = service
    this.#asker = { peerId: service.peerId }
    this.#record = record
  }

  static async of(service: StorageService): Promise<LocalStorageNode> {
    return new LocalStorageNode(service, await openNodeRecord(await service.record()))
  }

  /** As it was told last; {@link LocalStorageNode.renew} brings it up to date. */
  get record(): NodeRecord {
    return this.#record
  }

  async renew(): Promise<void> {
    this.#record = await openNodeRecord(await this.#service.record())
  }

  async putChunk(cid: CID, bytes: Uint8Array, o: CallOptions & { upload: string }): Promise<void> {
    await this.#service.putChunk(this.#asker, cid, bytes, o.upload)
  }

  async getChunk(cid: CID): Promise<Uint8Array> {
    return await this.#service.blocks.get(cid)
  }

  async missing(cids: readonly CID[]): Promise<CID[]> {
    return await this.#service.missing(cids)
  }

  async keep(
    object: string,
    cids: readonly CID[],
    until: number,
    o?: CallOptions & { record?: Uint8Array },
  ): Promise<CID[]> {
    return await this.#service.keep(this.#asker, { object, cids, until, record: o?.record })
  }

  async drop(object: string): Promise<void> {
    await this.#service.drop(this.#asker, object)
  }

  async challenge(cid: CID, leaf: number, nonce: Uint8Array): Promise<ChunkProof> {
    return await this.#service.challenge(cid, leaf, nonce)
  }

  async commit(commit: Commit): Promise<void> {
    await this.#service.commit(this.#asker, commit, (await openObjectRecord(commit.record)).record.id)
  }

  async object(id: string): Promise<ObjectState | undefined> {
    return this.#service.object(id)
  }

  async locations(id: string, part: number): Promise<Locations> {
    return this.#service.locations(id, part)
  }

  async relocate(id: string, part: number, locations: Locations): Promise<void> {
    await this.#service.relocate(this.#asker, id, part, locations)
  }

  async forget(id: string, sealed: Uint8Array): Promise<void> {
    await this.#service.forget(id, sealed, this.#asker)
  }

  async getName(name: string): Promise<Uint8Array | undefined> {
    return this.#service.names.get(name)
  }

  async nameVersions(name: string): Promise<Uint8Array[]> {
    return this.#service.names.versions(name)
  }

  async putName(name: string, record: Uint8Array): Promise<void> {
    await this.#service.names.put(name, record)
  }
}
