export { default, summary } from './storage/encode.ts'
