import type { Schedule } from '@pingo/wire'

/** Where the settings of a schedule are absent. */
const WSD_DECAY = 0.2
const STEP_MILESTONES = [0.5, 0.75]
const STEP_GAMMA = 0.1

/**
 * The inner learning rate after `samplesDone` committed samples: it rises linearly from 0 over `warmup · totalSamples`; then it
 * - `constant`: stays at `peak`;
 * - `cosine`, `linear`: falls from `peak` to `floor · peak` (Loshchilov and Hutter 2017 for the cosine);
 * - `wsd`: stays, and falls in a line to `floor · peak` over the last `decay · totalSamples` (warm-up, stable, decay: Hu et al. 2024,
 *   "MiniCPM"); the fall starts no sooner than the warm-up ends;
 * - `step`: is multiplied by `gamma` at each of `milestones` (fractions of `totalSamples`).
 *
 * A function of samples committed and of nothing else, so that joining, leaving and the number of contributors never change it.
 */
export function learningRateAt(
  samplesDone: number,
  options: { peak: number; schedule: Schedule; totalSamples: number },
): number {
  const { peak, schedule, totalSamples } = options
  const done = Math.min(Math.max(samplesDone, 0), totalSamples)
  const warm = schedule.warmup * totalSamples
  if (done < warm) return (peak * done) / warm
  if (schedule.kind === 'step') {
    const { milestones = STEP_MILESTONES, gamma = STEP_GAMMA } = schedule
    return peak * gamma ** milestones.filter((at) => done >= at * totalSamples).length
  }
  if (schedule.kind === 'constant' || totalSamples <= warm) return peak
  const from = schedule.kind === 'wsd' ? Math.max(warm, (1 - (schedule.decay ?? WSD_DECAY)) * totalSamples) : warm
  if (done < from || totalSamples <= from) return peak
  const progress = (done - from) / (totalSamples - from)
  const left = schedule.kind === 'cosine' ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress
  return peak * (schedule.floor + (1 - schedule.floor) * left)
}
