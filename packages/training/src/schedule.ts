import type { Schedule } from '@pingo/wire'

/**
 * The inner learning rate after `samplesDone` committed samples: it rises linearly from 0 over `warmup · totalSamples`, then
 * falls from `peak` to `floor · peak` (cosine or linear) or stays (constant). A function of samples committed and of nothing
 * else, so that joining, leaving and the number of contributors never change it.
 */
export function learningRateAt(
  samplesDone: number,
  options: { peak: number; schedule: Schedule; totalSamples: number },
): number {
  const { peak, schedule, totalSamples } = options
  const done = Math.min(Math.max(samplesDone, 0), totalSamples)
  const warm = schedule.warmup * totalSamples
  if (done < warm) return (peak * done) / warm
  if (schedule.kind === 'constant' || totalSamples <= warm) return peak
  const progress = (done - warm) / (totalSamples - warm)
  const left = schedule.kind === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2
  return peak * (schedule.floor + (1 - schedule.floor) * left)
}
