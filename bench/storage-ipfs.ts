export { default, summary } from './storage/ipfs-client.ts'
