/**
 * Where things are on this machine, without the rest of the client: a contributor that only looks for its fog node stays small.
 * @module
 */
export {
  CONNECTION_FILE,
  type ConnectOptions,
  type Endpoint,
  findEndpoint,
  isConnectionLive,
  parseAddress,
} from './connection.ts'
export { type Environment, homeFolder } from './home.ts'
export { parseBytes, parseDuration } from './job-file/quantities.ts'
