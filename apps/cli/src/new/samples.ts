import { readFile } from 'node:fs/promises'
import { PNG } from 'pngjs'

/** Files of a new folder: path within it → content. */
export type Files = Map<string, string | Uint8Array>

const EXAMPLES = new URL('../../../../examples/', import.meta.url)

/** A file of the examples that come with PinGo. */
export const example = (path: string): Promise<Uint8Array> => readFile(new URL(path, EXAMPLES))

const SEED = 7

/** Uniform numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain), so that samples are the same everywhere. */
function uniform(): () => number {
  let state = SEED
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const SIDE = 16
const IMAGES_A_CLASS = 200

/** Whether a point lies on a figure of that radius around the origin. */
const FIGURES: Record<string, (x: number, y: number, radius: number) => boolean> = {
  circle: (x, y, r) => Math.abs(Math.hypot(x, y) - r) < 0.9,
  cross: (x, y, r) => Math.max(Math.abs(x), Math.abs(y)) <= r && Math.abs(Math.abs(x) - Math.abs(y)) < 0.8,
  square: (x, y, r) => Math.abs(Math.max(Math.abs(x), Math.abs(y)) - r) < 0.7,
}

/** Figures of three kinds in 16 × 16 pixels, a folder for each: anywhere, of any size, with noise. */
export function figures(): Files {
  const random = uniform()
  const files: Files = new Map()
  for (const [name, isOn] of Object.entries(FIGURES))
    for (let n = 0; n < IMAGES_A_CLASS; n++) {
      const radius = 3 + 3 * random()
      const centre = () => SIDE / 2 - 0.5 + (random() - 0.5) * (SIDE - 2 * radius - 2)
      const [cx, cy] = [centre(), centre()]
      const png = new PNG({ width: SIDE, height: SIDE, colorType: 0 })
      for (let i = 0; i < SIDE * SIDE; i++) {
        const on = isOn((i % SIDE) - cx, Math.floor(i / SIDE) - cy, radius)
        const value = Math.round((on ? 200 : 20) + 35 * random())
        png.data.fill(value, 4 * i, 4 * i + 3)
        png.data[4 * i + 3] = 255
      }
      files.set(
        `figures/${name}/${String(n + 1).padStart(3, '0')}.png`,
        PNG.sync.write(png, { colorType: 0, inputColorType: 6, inputHasAlpha: true }),
      )
    }
  return files
}

const STEPS = 24
const SERIES = 360

const WAVES: Record<string, (phase: number) => number> = {
  sine: (phase) => Math.sin(2 * Math.PI * phase),
  square: (phase) => (phase % 1 < 0.5 ? 1 : -1),
  saw: (phase) => 2 * (phase % 1) - 1,
}

/** Series of 24 steps, each a sine, a square or a saw with its own frequency and phase, and noise: a table of one row a series. */
export function waves(): string {
  const random = uniform()
  const names = Object.keys(WAVES)
  const rows = Array.from({ length: SERIES }, (_, i) => {
    const name = names[i % names.length]!
    const [frequency, shift] = [1.5 + 1.5 * random(), random()]
    const values = Array.from({ length: STEPS }, (_, t) =>
      (WAVES[name]!((t / STEPS) * frequency + shift) + 0.3 * (random() - 0.5)).toFixed(3),
    )
    return [...values, name].join()
  })
  const header = [...Array.from({ length: STEPS }, (_, t) => `t${t + 1}`), 'wave'].join()
  return `${[header, ...rows].join('\n')}\n`
}
