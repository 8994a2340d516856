export { default, summary } from './storage/cache.ts'
