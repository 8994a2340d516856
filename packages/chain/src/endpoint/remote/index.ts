export { remoteEndpoint } from './endpoint.ts'
export type { RemoteServer } from './rpc.ts'
