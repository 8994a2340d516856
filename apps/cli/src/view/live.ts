import type { JobView } from '@pingo/wire'
import { createLogUpdate } from 'log-update'
import { count, duration, figure, metric, whole } from '../format.ts'
import type { Colours } from '../output.ts'
import { bar, curve } from './curve.ts'
import { metricText } from './job-lines.ts'

const BAR_WIDTH = 28
const CURVE_WIDTH = 24
const REDRAW_MS = 100

/** A few lines that are redrawn in place while a job runs. */
export class LiveView {
  readonly #draw = createLogUpdate(process.stdout)
  readonly #colour: Colours
  #losses = new Map<number, number>()
  #job: JobView | undefined
  #trouble: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(colour: Colours) {
    this.#colour = colour
  }

  show(job: JobView): void {
    this.#job = job
    this.#later()
  }

  /** A round comes again when the test data were evaluated. */
  loss(round: number, value: number): void {
    this.#losses.set(round, value)
  }

  /** A line under the view while something is wrong. */
  trouble(text: string | undefined): void {
    this.#trouble = text
    this.#later()
  }

  /** A line that stays, above the view. */
  above(text: string): void {
    this.#draw.clear()
    process.stdout.write(`${text}\n`)
    this.#redraw()
  }

  /** Leaves the last picture standing. */
  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#job) this.#redraw()
    this.#draw.done()
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#redraw()
    }, REDRAW_MS)
  }

  #redraw(): void {
    if (!this.#job) return
    const lines = jobLines(this.#job, [...this.#losses.values()], this.#colour)
    if (this.#trouble) lines.push(this.#colour.yellow(this.#trouble))
    this.#draw(lines.join('\n'))
  }
}

/** A job as it stands, in four lines. */
export function jobLines(job: JobView, losses: readonly number[], colour: Colours): string[] {
  const { samplesDone, samplesInFlight, samplesTotal, metricName } = job
  const done = Math.min(samplesTotal, samplesDone + (job.state === 'running' ? samplesInFlight : 0))
  const part = samplesTotal > 0 ? done / samplesTotal : 0
  const waiting = job.state === 'queued' || (job.state === 'running' && job.contributors === 0)
  const state =
    job.state === 'running'
      ? colour.green(job.state)
      : job.state === 'done'
        ? colour.green('done')
        : colour.yellow(job.state)
  const gap = '   '
  return [
    `${colour.bold(job.name)}  ${state}  ${colour.dim(job.id)}`,
    [
      colour.cyan(bar(part, BAR_WIDTH)),
      `${Math.floor(part * 100)} %`.padStart(5),
      `${whole(done)} of ${whole(samplesTotal)} samples`,
      job.etaMs !== undefined && job.state === 'running' ? `ETA ${duration(job.etaMs)}` : '',
    ]
      .filter(Boolean)
      .join(gap),
    [
      `loss ${figure(job.loss)} ${colour.cyan(curve(onLogScale(losses), CURVE_WIDTH))}`.trimEnd(),
      metricText(job, job.metric),
      job.testMetric === undefined ? '' : `test ${metric(metricName, job.testMetric)}`,
    ]
      .filter(Boolean)
      .join(gap),
    waiting && job.reason
      ? colour.yellow(`waiting: ${job.reason}`)
      : [
          `${count(job.samplesPerSecond)} samples/s`,
          `${job.contributors} ${job.contributors === 1 ? 'contributor' : 'contributors'}`,
          `round ${job.rounds + (job.state === 'running' ? 1 : 0)}`,
        ].join(gap),
  ]
}

/** Losses fall by factors: on a logarithmic scale the end of the curve still shows something. */
const onLogScale = (losses: readonly number[]): readonly number[] =>
  losses.every((loss) => loss > 0) ? losses.map(Math.log) : losses
