export { default, summary } from './storage/gateway.ts'
