import { z } from 'zod'
import { encode } from './encoding.ts'
import { CidText } from './manifests.ts'
import {
  MAX_ALLOWANCE_BYTES,
  MAX_CHUNKS_PER_QUESTION,
  MAX_NODE_RECORD_BYTES,
  MAX_NODES,
  MAX_OBJECT_RECORD_BYTES,
} from './storage.ts'

/** Content type of the bodies of a storage node's interface: dag-cbor by the schemas of this file. */
export const CBOR_TYPE = 'application/vnd.ipld.dag-cbor'
/** Scheme of the header that says who asks: `authorization: PinGo <base64url of a sealed AccessSchema>`. */
export const ACCESS_SCHEME = 'PinGo'
/** Overhead of a signed envelope and of the dag-cbor around it, bytes. */
const ENVELOPE_BYTES = 1 << 10
/** Largest body of a question about chunks, or of its answer, bytes. */
export const MAX_QUESTION_BYTES = 1 << 20
/** Largest commit, bytes: the locations of a million stripes. */
export const MAX_COMMIT_BYTES = 32 << 20
/** Largest answer to a question for nodes, bytes. */
export const MAX_NODES_BYTES = MAX_NODES * (MAX_NODE_RECORD_BYTES + 256)
/** Records of nodes in one message among fog nodes, at most. */
export const MAX_NODES_PER_EXCHANGE = 512
export const MAX_EXCHANGE_BYTES = MAX_NODES_PER_EXCHANGE * (MAX_NODE_RECORD_BYTES + 256)
export const MAX_NONCE_BYTES = 64
/** Bytes of a name's record (IPNS) and how many of its versions one answer holds. */
export const MAX_NAME_RECORD_BYTES = 10 << 10
export const MAX_NAME_VERSIONS = 100
/** An allowance lasts this long at most. */
export const MAX_ALLOWANCE_MS = 400 * 24 * 3_600_000

const Count = z.int().min(0)
const PeerId = z.string().min(10).max(100)
const bytesUpTo = (max: number) =>
  z
    .custom<Uint8Array>((value) => value instanceof Uint8Array, 'is not bytes')
    .refine((value) => value.byteLength <= max, `is over ${max} bytes`)
const Cids = z.array(CidText).max(MAX_CHUNKS_PER_QUESTION)

/** `POST /v1/storage/missing`: which of these are not there? */
export const MissingQuestionSchema = z.strictObject({ cids: Cids })
/** Those that are not there. */
export const MissingAnswerSchema = z.strictObject({ missing: Cids })

/** `POST /v1/storage/keep`: keeps chunks for an object until `until`; answered by {@link MissingAnswerSchema}. */
export const KeepSchema = z.strictObject({
  object: CidText,
  cids: Cids,
  until: Count,
  /** The object's record, sealed by its owner: then the chunks count to the owner, not to the fog node that asks. */
  record: bytesUpTo(MAX_OBJECT_RECORD_BYTES + ENVELOPE_BYTES).optional(),
})

/** `POST /v1/storage/drop`: ends the asker's leases for an object. */
export const DropSchema = z.strictObject({ object: CidText })

/** `POST /v1/storage/challenge`: answered by a `ChunkProofSchema`. */
export const ChallengeSchema = z.strictObject({
  cid: CidText,
  leaf: Count.max(1 << 20),
  nonce: bytesUpTo(MAX_NONCE_BYTES),
})

/** `GET /v1/storage/objects/{id}`: what a caretaker knows of an object. */
export const ObjectAnswerSchema = z.strictObject({
  record: bytesUpTo(MAX_OBJECT_RECORD_BYTES + ENVELOPE_BYTES),
  checkedAt: Count.optional(),
  stripesByShards: z.record(z.string().regex(/^\d{1,3}$/), Count),
  /** The owner's word that it is kept no longer. */
  forgotten: bytesUpTo(2 * ENVELOPE_BYTES).optional(),
})

/** `DELETE /v1/storage/objects/{id}`: the owner's sealed word. */
export const ForgetQuestionSchema = z.strictObject({ word: bytesUpTo(2 * ENVELOPE_BYTES) })

/** What a node thinks of another, by its own audits. */
export const OpinionSchema = z.strictObject({
  peerId: PeerId,
  reputation: z.number().min(0).max(1),
  isVetted: z.boolean(),
})
export type Opinion = z.infer<typeof OpinionSchema>

const SealedNode = bytesUpTo(MAX_NODE_RECORD_BYTES + ENVELOPE_BYTES)
/** `GET /v1/storage/nodes`: the sealed records of all nodes that the asked one knows, and what it thinks of them. */
export const NodesAnswerSchema = z.strictObject({
  records: z.array(SealedNode).max(MAX_NODES),
  opinions: z.array(OpinionSchema).max(MAX_NODES),
})
/** `POST /v1/storage/nodes`: fog nodes exchange records; the answer has the same form. */
export const NodesExchangeSchema = z.strictObject({ records: z.array(SealedNode).max(MAX_NODES_PER_EXCHANGE) })

/** `POST /v1/storage/hello`: prove that you are who your record says. */
export const HelloSchema = z.strictObject({ nonce: bytesUpTo(MAX_NONCE_BYTES) })
/** The node's own record, and its signature over {@link helloBytes}. */
export const HelloAnswerSchema = z.strictObject({ record: SealedNode, signature: bytesUpTo(64) })

/** `POST /v1/storage/allowances`, with the token of the fog node's owner as bearer: vouch for this owner. */
export const AllowanceQuestionSchema = z.strictObject({ owner: PeerId, bytes: Count, until: Count })
/** A sealed `AllowanceSchema`. */
export const AllowanceAnswerSchema = z.strictObject({ allowance: bytesUpTo(MAX_ALLOWANCE_BYTES + ENVELOPE_BYTES) })

/** `GET /v1/storage/usage`: what the asker stores at this node. */
export const UsageSchema = z.strictObject({
  /** Of chunks that are leased for the asker here; each counts once. */
  bytes: Count,
  /** That this node cares for. */
  objects: Count,
  /** Of all shards of those objects, wherever they are. */
  storedBytes: Count,
  /** 0 without an allowance. */
  allowanceBytes: Count,
  allowanceUntil: Count.optional(),
  /** Nano-PINGO a GiB and month, at this node. */
  price: Count,
})
export type Usage = z.infer<typeof UsageSchema>

/** `GET /v1/names/{name}/versions`: newest first. */
export const NameVersionsSchema = z.strictObject({
  records: z.array(bytesUpTo(MAX_NAME_RECORD_BYTES)).max(MAX_NAME_VERSIONS),
})

/** What a holder signs with its answer to a challenge. */
export const proofBytes = (nonce: Uint8Array, cid: string, leaf: number): Uint8Array =>
  encode(['pingo/proof/1', nonce, cid, leaf])
/** What a node signs to show that it has the key of its record. */
export const helloBytes = (nonce: Uint8Array): Uint8Array => encode(['pingo/hello/1', nonce])
