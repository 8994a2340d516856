/**
 * PINGO and the pass on TON: contracts, wrappers, and all that a program needs to use them.
 *
 * @example
 * const minter = JettonMinter.fromConfig({ kind: 'pingo', maxSupply, admin, content: encodeMetadata(words) })
 * await endpoint.open(minter).sendGenesis(sender, holders)
 */
export { artifact, codeOf } from './compile/artifacts.ts'
export type { Compiled } from './compile/compile.ts'
export { CONTRACTS, type ContractName } from './compile/contracts.ts'
export * from './contracts/emission-vault.ts'
export * from './contracts/jetton.ts'
export * from './contracts/jetton-vesting.ts'
export * from './contracts/job-escrow.ts'
export * from './contracts/meme-factory.ts'
export * from './contracts/node-stake.ts'
export * from './contracts/pass.ts'
export * from './contracts/rewards.ts'
export * from './contracts/voucher-channel.ts'
export { provenAmount } from './credit/proof.ts'
export { CreditTree, keyOf, MAX_AMOUNT } from './credit/tree.ts'
export * from './deploy/index.ts'
export * from './endpoint/emulator/index.ts'
export * from './endpoint/networks.ts'
export * from './endpoint/open.ts'
export * from './endpoint/port.ts'
export * from './endpoint/remote/index.ts'
export * from './keys/ed25519.ts'
export * from './pass/index.ts'
export * as schema from './schema/index.ts'
export * from './token/emission.ts'
export { decodeMetadata, encodeMetadata, type TokenMetadata } from './token/metadata.ts'
export * as rewardAccount from './token/reward-account.ts'
export * from './token/split.ts'
export * from './token/vesting.ts'
export * from './ton-proof/index.ts'
export * from './voucher/index.ts'
export * from './wallet/index.ts'
