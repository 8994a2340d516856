import { CID, PinGoError, parseCid, RAW } from '@pingo/wire'
import * as Digest from 'multiformats/hashes/digest'

const SHA2_256 = 0x12
const DIGEST_BYTES = 32

export type CidLike = CID | string

/** A CID from a CID or its text. @throws PinGoError CID_MALFORMED, CID_UNSUPPORTED for any hash but sha2-256 */
export function toCid(cid: CidLike): CID {
  const parsed = typeof cid === 'string' ? parseCid(cid) : cid
  if (parsed.multihash.code !== SHA2_256 || parsed.multihash.digest.byteLength !== DIGEST_BYTES)
    throw new PinGoError('CID_UNSUPPORTED', `${parsed} is not a sha2-256 CID.`, {
      hint: 'Import the content again with sha2-256, the default of every IPFS tool.',
    })
  return parsed
}

/** What a block is filed under: its sha2-256 in hex. The same bytes are one file, whatever codec a CID names. */
export function keyOf(cid: CidLike): string {
  return Buffer.from(toCid(cid).multihash.digest).toString('hex')
}

/** The CID of the block that is filed under `key`, as raw bytes by default. */
export function cidOfKey(key: string, codec: number = RAW): CID {
  return CID.createV1(codec, Digest.create(SHA2_256, Buffer.from(key, 'hex')))
}
