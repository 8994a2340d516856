import { backendContract } from './backend-contract.ts'
import { MemoryBackend } from './memory-backend.ts'

backendContract('memory', async () => ({ backend: new MemoryBackend() }))
