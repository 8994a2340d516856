/** Who may sign releases, and how many of them must. */
export interface ReleasePolicy {
  /** Signatures by different keys that a release needs. */
  readonly threshold: number
  /** Ed25519 public keys as PeerIds; their private halves lie offline, each with another person. */
  readonly keys: readonly string[]
}

/**
 * The release keys of PinGo. There are none in this stage of development: without keys nothing can be trusted, so updates are off
 * and new versions come as this one came. Keys are changed by a release that is signed by the old ones.
 */
export const RELEASE_POLICY: ReleasePolicy = { threshold: 2, keys: [] }
