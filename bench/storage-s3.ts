export { default, summary } from './storage/s3-clients.ts'
