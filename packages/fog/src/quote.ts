import { type NetworkView, type Quote, type QuoteRequest, slicesOf } from '@pingo/wire'

/** The part of a matrix product's speed that whole training steps reach; for estimates before any job was measured. */
const STEP_EFFICIENCY = 0.4

/** What a job would take, from what the contributors that are here have shown. */
export function quote(
  request: QuoteRequest,
  network: NetworkView,
  measured: readonly { flopsPerSample: number; samplesPerSecond: number }[],
  flops: readonly number[],
): Quote {
  const samples = Math.max(1, Math.floor(request.samples * request.epochs))
  // slices count: each works on a lease of its own
  const slices = network.contributors.flatMap(({ offer }) => slicesOf(offer))
  const able = slices.filter(({ memoryBytes }) => memoryBytes >= request.memoryBytes).length
  const contributors = Math.min(able, request.contributors.max)
  const queuedAhead = network.jobs.queued + network.jobs.running
  if (contributors === 0)
    return {
      samples,
      contributors: 0,
      samplesPerSecond: 0,
      queuedAhead,
      basis: 'No contributor with enough memory is connected: nothing to measure by.',
    }
  // FLOP/s that contributors showed on real jobs, else what their benchmark on joining says
  const shown = measured.map((job) => job.flopsPerSample * job.samplesPerSecond).filter((rate) => rate > 0)
  const benchmarked =
    STEP_EFFICIENCY * flops.reduce((sum, rate) => sum + rate, 0) * (contributors / Math.max(1, slices.length))
  const rate = shown.length > 0 ? Math.max(...shown) : benchmarked
  if (!(rate > 0))
    return {
      samples,
      contributors,
      samplesPerSecond: 0,
      queuedAhead,
      basis: 'The contributors have not shown their speed yet.',
    }
  const samplesPerSecond = rate / request.flopsPerSample
  return {
    samples,
    contributors,
    samplesPerSecond,
    etaMs: (samples / samplesPerSecond) * 1000,
    queuedAhead,
    basis:
      shown.length > 0
        ? `Measured on ${shown.length} recent job${shown.length > 1 ? 's' : ''} of this network.`
        : `Estimated from the benchmarks of ${contributors} contributor${contributors > 1 ? 's' : ''}; no job has been measured yet.`,
  }
}
