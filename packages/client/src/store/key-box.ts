/** Seals what only the owner may read. What it is for must be told again to open it; the storage network's Keyring is one. */
export interface KeyBox {
  seal(context: string, bytes: Uint8Array): Uint8Array
  /** @throws PinGoError KEYRING_WRONG */
  open(context: string, sealed: Uint8Array): Uint8Array
}
