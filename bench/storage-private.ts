export { default, summary } from './storage/private.ts'
