import { peerIdFromCID, peerIdFromString } from '@libp2p/peer-id'
import { type Identity, isPinGoError, PinGoError, parseCid } from '@pingo/wire'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'

/** Largest record of a name, bytes (ipfs/specs, IPNS record). */
export const MAX_NAME_RECORD_BYTES = 10 << 10
/** A record is good for this long: its owner publishes it again before. */
export const NAME_LIFETIME_MS = 365 * 24 * 3_600_000
/** Readers may take a record as the newest for this long without asking again. */
export const NAME_TTL_MS = 5 * 60_000
/** Records of one name that a node keeps, newest first. */
export const MAX_NAME_VERSIONS = 100
const NS_PER_MS = 1_000_000

/** Loaded when the first name comes: most processes never see one. */
const library = async () => ({ ...(await import('ipns')), ...(await import('ipns/validator')) })

/** What a name says: a version of a mutable pointer. */
export interface NameVersion {
  /** What it points to: `/ipfs/<cid>`, or another path. */
  value: string
  /** The CID of an `/ipfs/` value, undefined for others. */
  cid: string | undefined
  /** Grows with each version. */
  sequence: number
  /** ms since epoch. */
  validUntil: number
}

/** The name of an identity: its key as base36 CID (k51…), as IPFS writes it. */
export const nameOf = (identity: Pick<Identity, 'peerId'>): string => textOf(peerIdFromString(identity.peerId))

/** A name, with or without `/ipns/` or `ipns://`, or a PeerId, in the form of {@link nameOf}. @throws PinGoError NAME_MALFORMED */
export const parseName = (text: string): string => textOf(peerIdOf(text.replace(/^(\/ipns\/|ipns:\/\/)/, '')))

/**
 * Signs a new version of a name (ipfs/specs, IPNS record; with both signatures, so that every IPFS client reads it).
 * @param value a CID, or a path like `/ipfs/<cid>`
 * @param o.sequence greater than that of the version before
 */
export async function signName(
  identity: Identity,
  value: string,
  o: { sequence: number; clock?: () => number; lifetimeMs?: number },
): Promise<Uint8Array> {
  const path = value.startsWith('/') ? value : `/ipfs/${parseCid(value)}`
  const validUntil = new Date((o.clock ?? Date.now)() + (o.lifetimeMs ?? NAME_LIFETIME_MS))
  const nanoseconds = validUntil.toISOString().replace('Z', '000000Z')
  const ttlNs = NAME_TTL_MS * NS_PER_MS
  const { createIPNSRecordWithExpiration, marshalIPNSRecord } = await library()
  return marshalIPNSRecord(
    await createIPNSRecordWithExpiration(identity.privateKey, path, o.sequence, nanoseconds, { ttlNs }),
  )
}

/**
 * Checks that a record is signed by the key that the name is, and has not ended.
 * @throws PinGoError NAME_MALFORMED, NAME_RECORD_INVALID (too large, damaged, or signed by another key), NAME_RECORD_EXPIRED
 */
export async function checkName(
  name: string,
  record: Uint8Array,
  clock: () => number = Date.now,
): Promise<NameVersion> {
  const peer = peerIdOf(name)
  const invalid = (why: string, cause?: unknown) =>
    new PinGoError('NAME_RECORD_INVALID', `The record is none of name ${name}: ${why}.`, { cause })
  if (record.byteLength > MAX_NAME_RECORD_BYTES) throw invalid(`it is over ${MAX_NAME_RECORD_BYTES} bytes`)
  const { ipnsValidator, multihashToIPNSRoutingKey, unmarshalIPNSRecord } = await library()
  try {
    await ipnsValidator(multihashToIPNSRoutingKey(peer.toMultihash()), record)
  } catch (error) {
    // the library looks at the end last, by the machine's clock: the caller's decides below
    if ((error as Error).name !== 'RecordExpiredError') throw invalid('its signature does not fit', error)
  }
  try {
    const { value, sequence, validity } = unmarshalIPNSRecord(record)
    const validUntil = Date.parse(validity)
    if (sequence > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('its sequence is out of range')
    if (!Number.isFinite(validUntil)) throw invalid('it names no end')
    if (validUntil <= clock())
      throw new PinGoError('NAME_RECORD_EXPIRED', `The record of name ${name} ended on ${validity.slice(0, 10)}.`, {
        hint: 'Its owner has to publish it again.',
      })
    return { value, cid: cidOf(value), sequence: Number(sequence), validUntil }
  } catch (error) {
    throw isPinGoError(error) ? error : invalid('it is damaged', error)
  }
}

const textOf = (peer: ReturnType<typeof peerIdFromString>): string => peer.toCID().toString(base36)

function peerIdOf(name: string) {
  try {
    return name.startsWith('k') ? peerIdFromCID(CID.parse(name, base36)) : peerIdFromString(name)
  } catch (cause) {
    throw new PinGoError('NAME_MALFORMED', `'${name.slice(0, 100)}' is not a name.`, {
      hint: 'Names start with k51; `pingo store name ls` shows yours.',
      cause,
    })
  }
}

function cidOf(value: string): string | undefined {
  const [, text] = /^\/ipfs\/([A-Za-z0-9]{1,150})$/.exec(value) ?? []
  try {
    return text === undefined ? undefined : parseCid(text).toString()
  } catch {
    return undefined
  }
}
