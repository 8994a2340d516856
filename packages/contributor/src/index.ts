/**
 * The node on an idle machine: it dials a fog node (never the other way round), lends what its owner offers, trains leases in a
 * killable child at the lowest priority, and hands in its partial work when it is told to leave.
 *
 * ```ts
 * const settings = resolveSettings({ cpu: '40%' }, await readMachine(home))
 * const contributor = await Contributor.start({ home, fog: ['/ip4/192.168.1.5/tcp/4001/p2p/12D3…'], settings })
 * process.once('SIGTERM', () => contributor.leave())
 * ```
 * @module
 */
export { Bandwidth, type BandwidthLimits } from './bandwidth/bandwidth.ts'
export { benchMachine, type MachineBench } from './bench-machine.ts'
export type { ControlPort } from './control/port.ts'
export { type ControlServer, serveControl } from './control/server.ts'
export { Forecast } from './forecast/forecast.ts'
export { ForecastFile } from './forecast/forecast-file.ts'
export { History } from './history.ts'
export { inspectMachine, type MachineInspection } from './inspect-machine.ts'
export * from './local.ts'
export { Contributor, type ContributorOptions, type ContributorStatus } from './node.ts'
export { readHardware, resolveOffer } from './offer.ts'
export { memoryLimit } from './owner/machine.ts'
export { watchOwner } from './owner/watch.ts'
