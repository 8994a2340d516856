export { default, summary } from './storage/chaos.ts'
