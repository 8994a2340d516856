import { setTimeout as sleep } from 'node:timers/promises'
import {
  CBOR_TYPE,
  type ChunkProof,
  ChunkProofSchema,
  type CID,
  type Commit,
  decode,
  encode,
  isPinGoError,
  type Locations,
  LocationsSchema,
  MAX_CHUNKS_PER_QUESTION,
  MAX_NAME_RECORD_BYTES,
  MAX_NAME_VERSIONS,
  MAX_QUESTION_BYTES,
  MissingAnswerSchema,
  matchesCid,
  NameVersionsSchema,
  type NodeRecord,
  ObjectAnswerSchema,
  PinGoError,
  type Usage,
  UsageSchema,
} from '@pingo/wire'
import type { z } from 'zod'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import { fetchBlock, mismatch } from '../transfer/fetch-block.ts'
import {
  type HttpAnswer,
  type HttpPool,
  type HttpRequest,
  request,
  type Source,
  sharedPool,
} from '../transfer/http-client.ts'
import type { AccessTokens } from './access.ts'
import { openObjectRecord } from './object-record.ts'
import type { CallOptions, ChunkOptions, ObjectState, StorageNode } from './port.ts'
import { refusal } from './refusal.ts'

/** Tries of a call that the node is too busy for. */
const ATTEMPTS = 5
const FIRST_PAUSE_MS = 100
const IDLE_MS = 30_000
const MAX_SMALL_BYTES = 128 << 10

export interface HttpNodeOptions {
  /** Makes the tokens by which the node knows who asks; without it, only what is open may be asked. */
  access?: AccessTokens
  pool?: HttpPool
  /** A call is given up when nothing moves for so long. 30 s by default: a busy disk takes its time to sync. */
  idleMs?: number
  /** Told of each call whether the node answered, whatever it said. */
  onOutcome?: (isAnswered: boolean) => void
}

/** A storage node behind its HTTP interface (`storage-handler.ts`). Chunks are checked against their CIDs. */
export class HttpStorageNode implements StorageNode {
  readonly record: NodeRecord
  readonly #source: Source
  readonly #o: HttpNodeOptions

  constructor(record: NodeRecord, o: HttpNodeOptions = {}) {
    this.record = record
    this.#source = { url: record.url, pin: record.pin }
    this.#o = o
  }

  async putChunk(cid: CID, bytes: Uint8Array, o: CallOptions & { upload: string }): Promise<void> {
    await this.#call('PUT', `/v1/storage/chunks/${cid}?upload=${encodeURIComponent(o.upload)}`, { body: bytes, o })
  }

  async getChunk(cid: CID, o?: ChunkOptions): Promise<Uint8Array> {
    try {
      const block = await fetchBlock(this.#source, cid, { ...o, pool: this.#o.pool, idleMs: this.#o.idleMs })
      this.#o.onOutcome?.(true)
      return block
    } catch (error) {
      const isDown = isPinGoError(error, 'SOURCE_UNREACHABLE') || isPinGoError(error, 'SOURCE_UNTRUSTED')
      const isSaid = ['BLOCK_MISSING', 'BLOCK_MISMATCH', 'SOURCE_REFUSED'].some((code) => isPinGoError(error, code))
      if (isDown || isSaid) this.#o.onOutcome?.(isSaid)
      if (!isPinGoError(error, 'SOURCE_REFUSED')) throw error
    }
    // too busy: it is asked again after a while
    const { body } = await this.#call('GET', `/ipfs/${cid}?format=raw`, { o, isOpen: true, maxBytes: MAX_BLOCK_BYTES })
    if (matchesCid(cid, body)) return body
    throw mismatch(this.#source, cid)
  }

  async missing(cids: readonly CID[], o?: CallOptions): Promise<CID[]> {
    return await this.#inBatches(cids, async (batch) => {
      const body = encode({ cids: batch.map(String) })
      return await this.#ask('POST', '/v1/storage/missing', MissingAnswerSchema, { body, o, isOpen: true })
    })
  }

  async keep(
    object: string,
    cids: readonly CID[],
    until: number,
    o?: CallOptions & { record?: Uint8Array },
  ): Promise<CID[]> {
    return await this.#inBatches(cids, async (batch) => {
      const body = encode({ object, cids: batch.map(String), until, record: o?.record })
      return await this.#ask('POST', '/v1/storage/keep', MissingAnswerSchema, { body, o })
    })
  }

  async drop(object: string, o?: CallOptions): Promise<void> {
    await this.#call('POST', '/v1/storage/drop', { body: encode({ object }), o })
  }

  async challenge(cid: CID, leaf: number, nonce: Uint8Array, o?: CallOptions): Promise<ChunkProof> {
    const body = encode({ cid: cid.toString(), leaf, nonce })
    return await this.#ask('POST', '/v1/storage/challenge', ChunkProofSchema, {
      body,
      o,
      isOpen: true,
      maxBytes: MAX_SMALL_BYTES,
    })
  }

  async commit(commit: Commit, o?: CallOptions): Promise<void> {
    const { record } = await openObjectRecord(commit.record)
    await this.#call('PUT', `/v1/storage/objects/${record.id}`, { body: encode(commit), o })
  }

  async object(id: string, o?: CallOptions): Promise<ObjectState | undefined> {
    try {
      const { record, checkedAt, stripesByShards, forgotten } = await this.#ask(
        'GET',
        `/v1/storage/objects/${id}`,
        ObjectAnswerSchema,
        { o, maxBytes: MAX_SMALL_BYTES },
      )
      return { record, health: { checkedAt, stripesByShards }, ...(forgotten ? { forgotten } : {}) }
    } catch (error) {
      if (isPinGoError(error, 'OBJECT_MISSING')) return undefined
      throw error
    }
  }

  async locations(id: string, part: number, o?: CallOptions): Promise<Locations> {
    return await this.#ask('GET', `/v1/storage/objects/${id}/locations?part=${part}`, LocationsSchema, {
      o,
      isOpen: true,
    })
  }

  async relocate(id: string, part: number, locations: Locations, o?: CallOptions): Promise<void> {
    await this.#call('PUT', `/v1/storage/objects/${id}/locations?part=${part}`, { body: encode(locations), o })
  }

  async forget(id: string, sealed: Uint8Array, o?: CallOptions): Promise<void> {
    await this.#call('DELETE', `/v1/storage/objects/${id}`, { body: encode({ word: sealed }), o })
  }

  async getName(name: string, o?: CallOptions): Promise<Uint8Array | undefined> {
    try {
      const { body } = await this.#call('GET', `/v1/names/${name}`, {
        o,
        isOpen: true,
        maxBytes: MAX_NAME_RECORD_BYTES,
      })
      return body
    } catch (error) {
      if (isPinGoError(error, 'NAME_UNKNOWN') || isPinGoError(error, 'PATH_UNKNOWN')) return undefined
      throw error
    }
  }

  async nameVersions(name: string, o?: CallOptions): Promise<Uint8Array[]> {
    const maxBytes = MAX_NAME_VERSIONS * (MAX_NAME_RECORD_BYTES + 16)
    const path = `/v1/names/${name}/versions`
    return (await this.#ask('GET', path, NameVersionsSchema, { o, isOpen: true, maxBytes })).records
  }

  async putName(name: string, record: Uint8Array, o?: CallOptions): Promise<void> {
    await this.#call('PUT', `/v1/names/${name}`, { body: record, o, isOpen: true })
  }

  /** What the asker stores at this node. */
  async usage(o?: CallOptions): Promise<Usage> {
    return await this.#ask('GET', '/v1/storage/usage', UsageSchema, { o })
  }

  /** Asks in questions of a bounded size. @returns those of `cids` that the answers name */
  async #inBatches(
    cids: readonly CID[],
    ask: (batch: readonly CID[]) => Promise<{ missing: string[] }>,
  ): Promise<CID[]> {
    const found: CID[] = []
    for (let at = 0; at < cids.length; at += MAX_CHUNKS_PER_QUESTION) {
      const batch = cids.slice(at, at + MAX_CHUNKS_PER_QUESTION)
      const missing = new Set((await ask(batch)).missing)
      found.push(...batch.filter((cid) => missing.has(cid.toString())))
    }
    return found
  }

  async #ask<S extends z.ZodType>(method: string, path: string, schema: S, c: CallBody): Promise<z.output<S>> {
    const maxBytes = c.maxBytes ?? MAX_QUESTION_BYTES
    const { body } = await this.#call(method, path, { ...c, maxBytes })
    try {
      return decode(schema, body, maxBytes)
    } catch (cause) {
      throw new PinGoError('ANSWER_INVALID', `${this.record.url} answered what makes no sense.`, {
        hint: 'Check that the address is that of a PinGo node of this version.',
        cause,
      })
    }
  }

  /** A call, repeated while the node is too busy. @throws PinGoError SOURCE_*, or what the node said; or the signal's reason */
  async #call(method: string, path: string, c: CallBody): Promise<HttpAnswer> {
    const headers: Record<string, string> = {}
    if (c.body !== undefined) headers['content-type'] = CBOR_TYPE
    if (!c.isOpen && this.#o.access) headers.authorization = await this.#o.access.headerFor(this.record.peerId)
    const o: HttpRequest = {
      method,
      headers,
      body: c.body,
      maxBytes: Math.max(c.maxBytes ?? 0, MAX_SMALL_BYTES),
      signal: c.o?.signal,
      idleMs: this.#o.idleMs ?? IDLE_MS,
    }
    for (let attempt = 1, pause = FIRST_PAUSE_MS; ; attempt++, pause *= 2) {
      const answer = await this.#request(path, o)
      if (answer.status >= 200 && answer.status < 300) return answer
      if ((answer.status !== 503 && answer.status !== 429) || attempt >= ATTEMPTS)
        throw refusal(this.record.url, answer)
      await sleep(pause * (0.5 + Math.random()), undefined, { signal: c.o?.signal }).catch(() =>
        c.o?.signal?.throwIfAborted(),
      )
    }
  }

  async #request(path: string, o: HttpRequest): Promise<HttpAnswer> {
    try {
      const answer = await request(this.#source, path, o, this.#o.pool ?? sharedPool)
      this.#o.onOutcome?.(true)
      return answer
    } catch (error) {
      if (isPinGoError(error, 'SOURCE_UNREACHABLE') || isPinGoError(error, 'SOURCE_UNTRUSTED'))
        this.#o.onOutcome?.(false)
      throw error
    }
  }
}

interface CallBody {
  body?: Uint8Array
  o: CallOptions | undefined
  /** Who asks does not matter: then it is not told. */
  isOpen?: boolean
  maxBytes?: number
}
