import { crc32 } from 'node:zlib'

/** Op-codes of the standards, by TEP. */
export const STANDARD = {
  // TEP-62, NFT
  nftTransfer: 0x5fcc3d14,
  ownershipAssigned: 0x05138d91,
  getStaticData: 0x2fcb26a2,
  reportStaticData: 0x8b771735,
  excesses: 0xd53276db,
  // TEP-66, royalty
  getRoyaltyParams: 0x693d3950,
  reportRoyaltyParams: 0xa8cb00ad,
  // TEP-74, jetton
  jettonTransfer: 0x0f8a7ea5,
  internalTransfer: 0x178d4519,
  transferNotification: 0x7362d09c,
  jettonBurn: 0x595f07bc,
  burnNotification: 0x7bdd97de,
  // TEP-85, SBT
  proveOwnership: 0x04ded148,
  ownershipProof: 0x0524c7ae,
  requestOwner: 0xd0c3bfea,
  ownerInfo: 0x0dd607e3,
  destroy: 0x1f04537a,
  revoke: 0x6f89f5e3,
  // of the implementation that TEP-85 names, not of its text
  ownershipProofBounced: 0xc18e86d2,
  takeExcess: 0xd136d3b3,
  // TEP-89, discovery
  provideWalletAddress: 0x2c76b973,
  takeWalletAddress: 0xd1735400,
  /** Not of a TEP: GRAM sent to stay on a contract, as the jettons of TON Core name it. */
  topUp: 0xd372158c,
} as const

/** An op-code of PinGo's own: CRC-32 of its name with the top bit cleared, as TL-B's convention has it for requests. */
export function ownOp(name: string): number {
  return (crc32(`pingo.${name}`) & 0x7fffffff) >>> 0
}
