import { CID } from 'multiformats/cid'
import { PinGoError } from './errors.ts'

/** Multicodec of raw bytes: a chunk. */
export const RAW = 0x55
/** Multicodec of dag-pb: the root of a UnixFS file of more than one chunk. */
export const DAG_PB = 0x70
/** Multicodec of dag-cbor: a manifest. */
export const DAG_CBOR = 0x71
/** Multihash code of SHA-256. */
export const SHA2_256 = 0x12

export { CID }

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
