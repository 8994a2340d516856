import { createHash } from 'node:crypto'
import {
  ACCESS_SCHEME,
  ACCESS_TYPE,
  AccessSchema,
  ALLOWANCE_TYPE,
  AllowanceSchema,
  type Identity,
  isPinGoError,
  MAX_ACCESS_BYTES,
  MAX_ACCESS_MS,
  MAX_ALLOWANCE_BYTES,
  MAX_CLOCK_SKEW_MS,
  PinGoError,
  seal,
  unseal,
} from '@pingo/wire'

const PREFIX = `${ACCESS_SCHEME} `
/** Base64url of the largest token and its envelope. */
const MAX_HEADER_CHARS = Math.ceil(((MAX_ACCESS_BYTES + 1024) * 4) / 3) + PREFIX.length
/** Tokens whose verification is remembered. */
const MAX_KNOWN = 4_096
/** A token is made anew so long before it ends. */
const RENEW_MS = MAX_CLOCK_SKEW_MS + 60_000

/** Who asks, proven. */
export interface Asker {
  peerId: string
  /** What fog node `by` vouches that it may store. */
  allowance?: { bytes: number; until: number; by: string }
}

/** Verifies access tokens at one node; a token's signatures are checked once. */
export class AccessGate {
  readonly #audience: string
  readonly #clock: () => number
  readonly #known = new Map<string, { asker: Asker; until: number }>()

  constructor(audience: string, clock: () => number) {
    this.#audience = audience
    this.#clock = clock
  }

  /** @throws PinGoError UNAUTHORIZED when the header is absent, forged, over, or made for another node */
  async check(header: string | undefined): Promise<Asker> {
    if (!header?.startsWith(PREFIX) || header.length > MAX_HEADER_CHARS)
      throw unauthorized('It carries no access token.')
    const id = createHash('sha256').update(header).digest('base64')
    const now = this.#clock()
    const known = this.#known.get(id)
    if (known && now <= known.until) return known.asker
    const fresh = await this.#verify(Buffer.from(header.slice(PREFIX.length), 'base64url'), now).catch((error) => {
      throw isPinGoError(error, 'UNAUTHORIZED') ? error : unauthorized('Its access token is none.', error)
    })
    this.#known.set(id, fresh)
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!)
    return fresh.asker
  }

  async #verify(token: Uint8Array, now: number): Promise<{ asker: Asker; until: number }> {
    const { from, value } = await unseal(AccessSchema, ACCESS_TYPE, token, MAX_ACCESS_BYTES)
    if (value.audience !== this.#audience) throw unauthorized('Its access token is for another node.')
    if (value.until + MAX_CLOCK_SKEW_MS < now) throw unauthorized('Its access token is over.')
    if (value.until > now + MAX_ACCESS_MS + MAX_CLOCK_SKEW_MS) throw unauthorized('Its access token lasts too long.')
    const until = value.until + MAX_CLOCK_SKEW_MS
    if (!value.allowance) return { asker: { peerId: from }, until }
    const allowance = await unseal(AllowanceSchema, ALLOWANCE_TYPE, value.allowance, MAX_ALLOWANCE_BYTES)
    if (allowance.value.owner !== from) throw unauthorized("Its allowance is somebody else's.")
    const { bytes, until: end } = allowance.value
    return { asker: { peerId: from, allowance: { bytes, until: end, by: allowance.from } }, until }
  }
}

/** Makes access tokens for the nodes that one identity talks to, and renews them in time. */
export class AccessTokens {
  readonly #identity: Identity
  readonly #allowance: () => Uint8Array | undefined
  readonly #clock: () => number
  readonly #made = new Map<string, { header: Promise<string>; until: number; allowance: Uint8Array | undefined }>()

  /** @param allowance the sealed allowance of the moment, undefined for a fog node */
  constructor(
    identity: Identity,
    allowance: () => Uint8Array | undefined = () => undefined,
    clock: () => number = Date.now,
  ) {
    this.#identity = identity
    this.#allowance = allowance
    this.#clock = clock
  }

  get peerId(): string {
    return this.#identity.peerId
  }

  /** The value of the header `authorization` for the node `audience`. */
  headerFor(audience: string): Promise<string> {
    const allowance = this.#allowance()
    const made = this.#made.get(audience)
    const now = this.#clock()
    if (made && made.allowance === allowance && now + RENEW_MS < made.until) return made.header
    const until = now + MAX_ACCESS_MS - MAX_CLOCK_SKEW_MS
    const header = seal(this.#identity, ACCESS_TYPE, { audience, until, allowance }).then(
      (token) => PREFIX + Buffer.from(token).toString('base64url'),
    )
    this.#made.set(audience, { header, until, allowance })
    if (this.#made.size > MAX_KNOWN) this.#made.delete(this.#made.keys().next().value!)
    return header
  }
}

const unauthorized = (why: string, cause?: unknown) =>
  new PinGoError('UNAUTHORIZED', `The request is not admitted. ${why}`, {
    hint: 'Sign it anew with the identity that it is of; see that both clocks are right.',
    cause,
  })
