/** Exit codes that PinGo's contracts throw, by name. Those of the TVM itself (0 to 63) and 0xffff, "unknown op-code", are TON's. */
export const EXIT = {
  // as TON Core's jetton has them
  NOT_ENOUGH_BALANCE: 47,
  NOT_ENOUGH_GAS: 48,
  NOT_OWNER: 73,
  NOT_JETTON_WALLET: 74,
  WRONG_WORKCHAIN: 333,
  UNKNOWN_OP: 0xffff,
  // PinGo's own
  NOT_ADMIN: 100,
  SUPPLY_MISMATCH: 101,
  WRONG_PROOF: 102,
} as const

/** What an exit code means, in words for people. */
export const EXIT_WORDS: Record<keyof typeof EXIT, string> = {
  NOT_ENOUGH_BALANCE: 'the balance is smaller than the amount',
  NOT_ENOUGH_GAS: 'the message carries too little GRAM for its fees',
  NOT_OWNER: 'only the owner may do this',
  NOT_JETTON_WALLET: 'the sender is not the jetton wallet that it claims to be',
  WRONG_WORKCHAIN: 'the address is not in the base workchain',
  UNKNOWN_OP: 'the contract does not know this message',
  NOT_ADMIN: 'only the deployer may do this, and only once',
  SUPPLY_MISMATCH: 'the parts do not add up to the supply',
  WRONG_PROOF: 'the proof is of another tree or does not show this account',
}

/** The constants for Tolk: the text of `contracts/exits.tolk`. */
export function exitsToTolk(): string {
  return Object.entries(EXIT)
    .map(([name, code]) => `/// ${EXIT_WORDS[name as keyof typeof EXIT]}\nconst EXIT_${name} = ${code}\n`)
    .join('\n')
}
