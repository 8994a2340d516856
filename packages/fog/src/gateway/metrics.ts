import type { NetworkView } from '@pingo/wire'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** The Prometheus registry of a fog node; values are read when they are asked for. */
export function createMetrics(view: () => NetworkView): Registry {
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
  return registry
}
