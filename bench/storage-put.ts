export { default, summary } from './storage/put.ts'
