export * from './lookup.ts'
export { type AccountSource, passesOnChain } from './on-chain.ts'
