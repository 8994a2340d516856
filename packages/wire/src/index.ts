/**
 * What every part of PinGo agrees on: identities and signatures, canonical bytes, content addresses, tensors, errors and
 * one schema per message. Knows nothing of sockets, disks, models or jobs' meaning.
 * @module
 */
export * from './api.ts'
export * from './cid.ts'
export * from './cid-text.ts'
export * from './encoding.ts'
export * from './envelope.ts'
export * from './errors.ts'
export * from './identity.ts'
export * from './keys.ts'
export * from './machine.ts'
export * from './machine-api.ts'
export * from './manifests.ts'
export * from './messages.ts'
export * from './pause.ts'
export * from './safetensors.ts'
export * from './seal.ts'
export * from './secret-file.ts'
export * from './socket.ts'
export * from './storage.ts'
export * from './storage-api.ts'
export * from './storage-view.ts'
export * from './tensor.ts'
export * from './training.ts'
