export { default, summary } from './storage/crash.ts'
