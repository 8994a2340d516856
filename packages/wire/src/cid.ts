import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { PinGoError } from './errors.ts'

/** Multicodec of raw bytes: a chunk. */
export const RAW = 0x55
/** Multicodec of dag-pb: the root of a UnixFS file of more than one chunk. */
export const DAG_PB = 0x70
/** Multicodec of dag-cbor: a manifest. */
export const DAG_CBOR = 0x71
const SHA2_256 = 0x12

export { CID }

/** SHA-256 of `bytes`, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

/** The CIDv1 (sha2-256) of a block. */
export function cidOf(bytes: Uint8Array, codec: number = RAW): CID {
  return CID.createV1(codec, Digest.create(SHA2_256, sha256(bytes)))
}

/** True when `bytes` hash to `cid`. Only sha2-256 is known: any other hash is refused, never trusted. */
export function matchesCid(cid: CID, bytes: Uint8Array): boolean {
  return cid.multihash.code === SHA2_256 && Buffer.compare(sha256(bytes), cid.multihash.digest) === 0
}

/** Parses a CID or `pingo://CID`. @throws PinGoError CID_MALFORMED */
export function parseCid(text: string): CID {
  try {
    const cid = CID.parse(text.replace(/^(pingo|ipfs):\/\//, '').replace(/\/$/, ''))
    if (cid.version === 1) return cid
    return cid.toV1()
  } catch (cause) {
    throw new PinGoError('CID_MALFORMED', `'${text.slice(0, 100)}' is not a content address (CID).`, { cause })
  }
}
