export { default, summary } from './storage/transfer.ts'
