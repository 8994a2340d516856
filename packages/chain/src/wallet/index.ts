export * from './address.ts'
export * from './amount.ts'
export { type Estimate, estimateTransfer } from './estimate.ts'
export {
  MAX_WALLET_FILE_BYTES,
  MIN_PASSPHRASE_LENGTH,
  parseWalletFile,
  readWalletFile,
  type ScryptCost,
  sealWallet,
  type UnlockedWallet,
  unlockWallet,
  type WalletFile,
  writeWalletFile,
} from './file.ts'
export { type HistoryEntry, MAX_HISTORY, type Movement, walletHistory } from './history.ts'
export { MNEMONIC_WORDS, newMnemonic, parseMnemonic, seedOfMnemonic } from './mnemonic.ts'
export { type ChainWallet, costOf, SEND_DEADLINE_MS, type Sent, walletOn } from './send.ts'
export * from './w5.ts'
