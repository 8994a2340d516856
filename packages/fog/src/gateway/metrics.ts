import type { NetworkView, StorageView } from '@pingo/wire'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** The Prometheus registry of a fog node; values are read when they are asked for. */
export function createMetrics(view: () => NetworkView, storage: () => Promise<StorageView>): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
  const gauge = (name: string, help: string, read: (view: NetworkView) => number) =>
    new Gauge({
      name: `pingo_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read(view()))
      },
    })
  gauge('contributors', 'Contributors that are connected', ({ contributors }) => contributors.length)
  gauge('cores_offered', 'Cores that connected contributors offer', ({ cores }) => cores)
  gauge('samples_per_second', 'Training samples per second, all jobs', ({ samplesPerSecond }) => samplesPerSecond)
  gauge(
    'samples_committed_total',
    'Samples in committed rounds since the fog node was set up',
    ({ samplesTotal }) => samplesTotal,
  )
  gauge('blocks', 'Stored blocks', ({ fog }) => fog.blocks)
  gauge('block_bytes', 'Bytes of stored blocks', ({ fog }) => fog.blockBytes)
  new Gauge({
    name: 'pingo_jobs',
    help: 'Jobs by state',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(view().jobs)) this.set({ state }, count)
    },
  })
  storageMetrics(registry, storage)
  return registry
}

function storageMetrics(registry: Registry, storage: () => Promise<StorageView>): void {
  const gauge = (name: string, help: string, read: (view: StorageView) => number) =>
    new Gauge({
      name: `pingo_storage_${name}`,
      help,
      registers: [registry],
      async collect() {
        this.set(read(await storage()))
      },
    })
  const labelled = (name: string, help: string, label: string, read: (view: StorageView) => Record<string, number>) =>
    new Gauge({
      name: `pingo_storage_${name}`,
      help,
      labelNames: [label],
      registers: [registry],
      async collect() {
        this.reset()
        for (const [value, n] of Object.entries(read(await storage()))) this.set({ [label]: value }, n)
      },
    })
  gauge('capacity_bytes', 'Bytes that blocks may take', ({ node }) => node.capacityBytes)
  gauge('leased_bytes', 'Bytes of chunks under leases', ({ node }) => node.leasedBytes)
  gauge('cache_bytes', 'Bytes of blocks that are only cached', ({ cache }) => cache.bytes)
  gauge('peers', 'Other fog nodes that are known', ({ peers }) => peers.length)
  gauge('peers_live', 'Other fog nodes that answered lately', ({ peers }) => peers.filter((peer) => peer.isLive).length)
  gauge('objects_in_care', 'Objects that this node sees to', ({ care }) => care.objects)
  gauge('objects_due', 'Objects that are to be checked by now', ({ care }) => care.due)
  gauge('repairs_queued', 'Stripes that wait for repair', ({ care }) => care.repairsQueued)
  gauge('names', 'Names that are kept', ({ names }) => names)
  gauge('scrub_damaged_total', 'Blocks found damaged on disk since the start', ({ scrub }) => scrub.damaged)
  labelled('reads_total', 'Blocks read at the gateway since the start', 'from', ({ reads }) => reads)
  labelled('audits_total', 'Audits of other nodes since the start', 'outcome', ({ audits }) => audits)
  labelled('stripes', 'Stripes in care by missing shards', 'missing', ({ care }) => care.stripesByMissing)
  labelled('shards_total', 'Shards rebuilt and moved since the start', 'how', ({ repairs }) => ({
    rebuilt: repairs.rebuilt,
    moved: repairs.moved,
    failed: repairs.failed,
    lost: repairs.lost,
  }))
  labelled('repair_bytes_total', 'Bytes that repairs read and wrote since the start', 'way', ({ repairs }) => ({
    read: repairs.bytesRead,
    written: repairs.bytesWritten,
  }))
}
