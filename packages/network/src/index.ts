/**
 * A libp2p host that speaks typed protocols: requests with answers, and two-way channels of messages, every one validated,
 * bounded in size, rate and time. Knows nothing of what is sent.
 *
 * @example
 * ```ts
 * const Greet = {
 *   name: '/pingo/greet/1.0.0',
 *   request: z.strictObject({ name: z.string().max(100) }),
 *   response: z.strictObject({ text: z.string().max(200) }),
 *   maxRequestBytes: 1024,
 *   maxResponseBytes: 1024,
 *   timeoutMs: 5_000,
 * } satisfies Protocol
 *
 * const server = await Host.start({ identity: await createIdentity(), listen: ['/ip4/127.0.0.1/tcp/0'] })
 * server.handle(Greet, async ({ name }, { peer }) => ({ text: `Hello ${name}, you are ${peer}` }))
 *
 * const client = await Host.start({ identity: await createIdentity() })
 * const { text } = await client.request(server.addresses()[0], Greet, { name: 'Ada' })
 * ```
 * @module
 */
export type { Provider } from './dht.ts'
export { type CallOptions, Host, type HostOptions, type PeerEvent, type PeerInfo } from './host.ts'
export { defaultLimits, type HostLimits, MAX_ERROR_BYTES, MAX_MESSAGE_BYTES, MAX_PROTOCOL_NAME } from './limits.ts'
export { nodesOfMachine, type RegistryOptions, registerNode, registryFolder } from './machine-registry.ts'
export type { Logger } from './node.ts'
export type { Channel, ChannelProtocol, Protocol, Rate, RequestContext } from './protocol.ts'
export { RateLimiter } from './rate-limiter.ts'
