/** For whoever writes a backend: what it must do, as tests; and an endpoint over a store in memory. */
export { backendContract, pattern } from './backend-contract.ts'
export { MemoryBackend, uploadOf } from './memory-backend.ts'
export { ACCESS_KEY, SECRET, serveS3, type TestEndpoint } from './serve.ts'
export { sign, type ToSign } from './sign.ts'
