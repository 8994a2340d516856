export * from './book.ts'
export * from './voucher.ts'
