export * from './check.ts'
export {
  MAX_DOMAIN_AND_PAYLOAD_BYTES,
  MAX_DOMAIN_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_REQUEST_BYTES,
  parseTonProof,
  signatureDomain,
  TonProofRequest,
  tonProofBytes,
} from './message.ts'
export * from './payloads.ts'
export { WALLET_CODES, type WalletCode } from './wallet-state.ts'
