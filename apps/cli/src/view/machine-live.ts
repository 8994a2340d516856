import type { MachineView } from '@pingo/wire'
import { createLogUpdate } from 'log-update'
import type { Colours } from '../output.ts'
import { machineLines } from './machine-lines.ts'

/** A contributor's lines, redrawn in place. */
export class MachineLive {
  readonly #draw = createLogUpdate(process.stdout)
  readonly #colour: Colours
  readonly #hint: string

  constructor(colour: Colours, hint = '') {
    this.#colour = colour
    this.#hint = hint
  }

  show(view: MachineView): void {
    const lines = machineLines(view, { now: Date.now(), width: process.stdout.columns ?? 80, colour: this.#colour })
    if (this.#hint) lines.push(this.#colour.dim(this.#hint))
    // a terminal that is too low keeps the first lines, which matter most
    this.#draw(lines.slice(0, Math.max(3, (process.stdout.rows ?? 24) - 1)).join('\n'))
  }

  /** Leaves the last picture standing. */
  end(): void {
    this.#draw.done()
  }
}

/** Keys of a terminal while it is watched: each pressed key by its character; Ctrl-C as '\x03'. Returns how to stop. */
export function watchKeys(pressed: (key: string) => void): () => void {
  const { stdin } = process
  if (!stdin.isTTY) return () => undefined
  const take = (data: Buffer) => pressed(data.toString('utf8'))
  stdin.setRawMode(true)
  stdin.on('data', take).resume()
  return () => {
    stdin.off('data', take)
    stdin.setRawMode(false)
    stdin.pause()
  }
}
