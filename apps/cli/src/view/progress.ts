import type { Progress } from '@pingo/client'
import { createLogUpdate } from 'log-update'
import type { Output } from '../output.ts'
import { bar } from './curve.ts'

const BAR_WIDTH = 28

/** What happens between the job file and the running job: one line in place on a terminal, else a line a stage on stderr. */
export class ProgressView {
  readonly #output: Output
  readonly #draw: ReturnType<typeof createLogUpdate> | undefined
  #stage = ''

  constructor(output: Output) {
    this.#output = output
    this.#draw = output.live ? createLogUpdate(process.stdout) : undefined
  }

  show({ stage, message, done, total }: Progress): void {
    if (stage === 'note') {
      this.#draw?.clear()
      this.#output.note(`Note: ${message}.`)
      return
    }
    if (this.#draw) {
      const part =
        done !== undefined && total ? `  ${bar(done / total, BAR_WIDTH)} ${Math.floor((done / total) * 100)} %` : ''
      this.#draw(`${message} …${part}`)
    } else if (stage !== this.#stage) this.#output.note(`${STAGES[stage]} …`)
    this.#stage = stage
  }

  end(): void {
    this.#draw?.clear()
    this.#draw?.done()
  }
}

const STAGES: Record<Exclude<Progress['stage'], 'note'>, string> = {
  import: 'Importing the data',
  model: 'Building the training program',
  upload: 'Uploading',
  submit: 'Submitting the job',
  store: 'Storing',
  fetch: 'Fetching',
  check: 'Looking at the objects',
}
