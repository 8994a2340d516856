/** Exit codes that PinGo's contracts throw, by name. Those of the TVM itself (0 to 63) and 0xffff, "unknown op-code", are TON's. */
export const EXIT = {
  // as TON Core's jetton has them
  NOT_ENOUGH_BALANCE: 47,
  NOT_ENOUGH_GAS: 48,
  NOT_OWNER: 73,
  NOT_JETTON_WALLET: 74,
  WRONG_WORKCHAIN: 333,
  // as TON Core's SBT has them
  SBT_UNAUTHORIZED: 401,
  SBT_ALREADY_REVOKED: 403,
  SBT_NOT_TRANSFERABLE: 413,
  UNKNOWN_OP: 0xffff,
  // PinGo's own
  NOT_ADMIN: 100,
  SUPPLY_MISMATCH: 101,
  WRONG_PROOF: 102,
  TOO_EARLY: 103,
  NOTHING_DUE: 104,
  WRONG_EPOCH: 105,
  NOT_FUNDED: 106,
  NOT_ACCOUNT: 107,
  NOT_DISTRIBUTOR: 108,
  TOO_MANY_TRANCHES: 109,
  WRONG_SIGNATURE: 110,
  STALE: 111,
  TOO_LITTLE_CREDIT: 112,
  NOT_COLLECTION: 113,
  NOT_A_PASS: 114,
  REVOKED: 115,
  LEVEL_TOO_LOW: 116,
  GATE_FULL: 117,
  // payments and stakes
  NOT_PARTY: 120,
  WEAK_KEY: 121,
  TOO_LATE: 122,
  NO_NODE: 123,
  TOO_LITTLE_BOND: 124,
  NO_CONFLICT: 125,
  OTHER_VERDICT: 126,
  WRONG_FEE: 130,
  WRONG_CONTENT: 131,
  SHARE_TOO_LARGE: 132,
} as const

/** What an exit code means, in words for people. */
export const EXIT_WORDS: Record<keyof typeof EXIT, string> = {
  NOT_ENOUGH_BALANCE: 'the balance is smaller than the amount',
  NOT_ENOUGH_GAS: 'the message carries too little GRAM for its fees',
  NOT_OWNER: 'only the owner may do this',
  NOT_JETTON_WALLET: 'the sender is not the jetton wallet that it claims to be',
  WRONG_WORKCHAIN: 'the address is not in the base workchain',
  SBT_UNAUTHORIZED: 'only the owner, or for a revocation the authority, may do this',
  SBT_ALREADY_REVOKED: 'the pass was revoked before',
  SBT_NOT_TRANSFERABLE: 'a pass is bound to whoever earned it',
  UNKNOWN_OP: 'the contract does not know this message',
  NOT_ADMIN: 'only the deployer may do this, and only once',
  SUPPLY_MISMATCH: 'the parts do not add up to the supply',
  WRONG_PROOF: 'the proof is of another tree or does not show this account',
  TOO_EARLY: 'it is too early for this',
  NOTHING_DUE: 'there is nothing to pay',
  WRONG_EPOCH: 'the epoch is not the next one, or promises less than the one before',
  NOT_FUNDED: 'more is promised or asked for than came in',
  NOT_ACCOUNT: 'the sender is no account of this distributor, or its proof is of another tree than the present one',
  NOT_DISTRIBUTOR: 'only the distributor may do this',
  TOO_MANY_TRANCHES: 'the account has too many locked parts: release what is vested first',
  WRONG_SIGNATURE: 'the signature is not by the key that was fixed for this',
  STALE: 'this was used before',
  TOO_LITTLE_CREDIT: 'the credit is too small for a pass',
  NOT_COLLECTION: 'only the collection may do this',
  NOT_A_PASS: 'the sender is not the pass of the owner it names',
  REVOKED: 'the pass was revoked',
  LEVEL_TOO_LOW: 'the level of the pass is too low',
  GATE_FULL: 'the gate remembers as many grants as it can; wait until some have ended',
  NOT_PARTY: 'only a party of this contract may do this',
  WEAK_KEY: 'with this public key anybody could sign',
  TOO_LATE: 'it is too late for this',
  NO_NODE: 'no node of this key has a bond here',
  TOO_LITTLE_BOND: 'the bond would be smaller than the least that is allowed',
  NO_CONFLICT: 'these two votes do not contradict each other',
  OTHER_VERDICT: 'the verdict is not the next one on this bond',
  WRONG_FEE: 'the fee is another one',
  WRONG_CONTENT: "the token's words are too long, or name, symbol or the hash of the picture are missing",
  SHARE_TOO_LARGE: "the creator's share is too large, or stands in the table of holders",
}

/** The constants for Tolk: the text of `contracts/exits.tolk`. */
export function exitsToTolk(): string {
  return Object.entries(EXIT)
    .map(([name, code]) => `/// ${EXIT_WORDS[name as keyof typeof EXIT]}\nconst EXIT_${name} = ${code}\n`)
    .join('\n')
}
