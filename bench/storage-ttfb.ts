export { default, summary } from './storage/ttfb.ts'
