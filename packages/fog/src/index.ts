/**
 * The fog node: a CDN node that gathers idle CPUs near it, keeps data, schedules jobs, runs their rounds and serves the gateway
 * (JSON API, live events, metrics, pages).
 *
 * ```ts
 * const fog = await FogNode.start({ home: '/var/lib/pingo' })
 * console.log(fog.url, fog.multiaddrs)
 * await fog.close()
 * ```
 * @module
 */

export { CONTENT_SECURITY_POLICY } from './gateway/pages.ts'
export { FogNode, type FogOptions } from './node.ts'
