/**
 * What a browser's bundle gets for `@pingo/wire` (condition `browser` in package.json): all that needs neither Node's files nor its
 * cryptography.
 * @module
 */
export * from './api.ts'
export * from './cid-text.ts'
export * from './encoding.ts'
export * from './errors.ts'
export * from './keys.ts'
export * from './machine.ts'
export * from './machine-api.ts'
export * from './manifests.ts'
export * from './messages.ts'
export * from './pause.ts'
export * from './safetensors.ts'
export * from './seal.ts'
export * from './socket.ts'
export * from './storage.ts'
export * from './tensor.ts'
export * from './training.ts'
