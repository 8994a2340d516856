import type { JobView, RoundView } from '@pingo/wire'
import { count, duration, figure, metric, metricName, metrics, whole } from '../format.ts'

/** A committed round in one line. */
export function roundLine(round: RoundView, job: JobView | undefined): string {
  const total = job?.samplesTotal
  const workers = round.shares.length
  return [
    `round ${round.round}`,
    total ? `${whole(round.samplesDone)} of ${whole(total)} samples` : `${whole(round.samplesDone)} samples`,
    `loss ${figure(round.loss)}`,
    metricText(job, round.metric),
    round.testMetric === undefined || !job ? '' : `test ${metric(job.metricName, round.testMetric)}`,
    `${count(round.samplesPerSecond)} samples/s`,
    `${workers} ${workers === 1 ? 'contributor' : 'contributors'}`,
    job?.etaMs !== undefined && job.state === 'running' && round.samplesDone < job.samplesTotal
      ? `ETA ${duration(job.etaMs)}`
      : '',
    round.excluded.length ? `${round.excluded.length} excluded (${round.excluded[0]!.reason})` : '',
  ]
    .filter(Boolean)
    .join('  ')
}

/** What the test data said of a round that was told before. */
export function testLine(round: RoundView, job: JobView | undefined): string {
  const counted = metricText(job, round.testMetric)
  return `round ${round.round}  test ${counted ? `${counted}  ` : ''}loss ${figure(round.testLoss)}`
}

/** The job's metric with its name; nothing where it is the loss, which stands beside it, or is not known. */
export const metricText = (job: JobView | undefined, value: number | undefined): string =>
  job && job.metricName !== 'loss' ? `${metricName(job.metricName)} ${metric(job.metricName, value)}` : ''

/** How a job trains, in two lines at most. */
export function trainingLines({ training, batch }: JobView): string[] {
  if (!training) return []
  const { loss, optimizer, schedule, accumulation, adapters, frozen } = training
  const parts = [adapters, frozen && `frozen ${frozen}`, `batch ${batch}${accumulation ? ` in ${accumulation}` : ''}`]
  return [`${optimizer}; ${schedule}`, [`loss ${loss}`, ...parts].filter(Boolean).join('; ')]
}

/** How a job ended, in a few lines. */
export function summaryLines(job: JobView): string[] {
  const took = (job.endedAt ?? Date.now()) - (job.startedAt ?? job.submittedAt)
  if (job.state !== 'done') {
    const verb = job.state === 'stopped' ? 'was stopped' : 'failed'
    return [`Job ${job.id} ${verb} after ${duration(took)}${job.reason ? `: ${job.reason.replace(/\.?$/, '.')}` : '.'}`]
  }
  const workers = job.shares.filter(({ samples }) => samples > 0).length
  const lines = [
    `Done in ${duration(took)}: ${whole(job.samplesDone)} samples in ${job.rounds} ${job.rounds === 1 ? 'round' : 'rounds'} by ${workers} ${workers === 1 ? 'contributor' : 'contributors'}, ${count(job.samplesDone / (took / 1000))} samples/s.`,
    `${capital(both(metricText(job, job.metric), `loss ${figure(job.loss)}`))} in training.`,
  ]
  if (job.testMetric !== undefined)
    lines.push(`${capital(both(testText(job), `loss ${figure(job.testLoss)}`))} on the test data.`)
  return lines
}

/** All that the test data told, the job's own metric first. */
export const testText = (job: JobView): string => {
  const { metricName: own, testMetric, testMetrics = {} } = job
  const { [own]: _, ...further } = testMetrics
  return both(metricText(job, testMetric), metrics(further))
}

const both = (...texts: string[]): string => texts.filter(Boolean).join(', ')
const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)
