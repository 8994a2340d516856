export * from './address.ts'
export * from './amount.ts'
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
export { MNEMONIC_WORDS, newMnemonic, parseMnemonic, seedOfMnemonic } from './mnemonic.ts'
export * from './w5.ts'
