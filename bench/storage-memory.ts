export { default, summary } from './storage/objects.ts'
