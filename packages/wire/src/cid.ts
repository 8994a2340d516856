import { createHash } from 'node:crypto'
import * as Digest from 'multiformats/hashes/digest'
import { CID, RAW, SHA2_256 } from './cid-text.ts'

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
