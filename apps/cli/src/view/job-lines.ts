import type { JobView, RoundView } from '@pingo/wire'
import { count, duration, figure, metric, whole } from '../format.ts'

/** A committed round in one line. */
export function roundLine(round: RoundView, job: JobView | undefined): string {
  const name = job?.metricName ?? 'accuracy'
  const total = job?.samplesTotal
  const workers = round.shares.length
  return [
    `round ${round.round}`,
    total ? `${whole(round.samplesDone)} of ${whole(total)} samples` : `${whole(round.samplesDone)} samples`,
    `loss ${figure(round.loss)}`,
    `${name} ${metric(name, round.metric)}`,
    round.testMetric === undefined ? '' : `test ${metric(name, round.testMetric)}`,
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
  const name = job?.metricName ?? 'accuracy'
  return `round ${round.round}  test ${name} ${metric(name, round.testMetric)}  loss ${figure(round.testLoss)}`
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
    `${capital(job.metricName)} ${metric(job.metricName, job.metric)}, loss ${figure(job.loss)} in training.`,
  ]
  if (job.testMetric !== undefined)
    lines.push(
      `${capital(job.metricName)} ${metric(job.metricName, job.testMetric)}, loss ${figure(job.testLoss)} on the test data.`,
    )
  return lines
}

const capital = (name: string): string =>
  name === 'mae' ? 'Mean absolute error' : name[0]!.toUpperCase() + name.slice(1)
