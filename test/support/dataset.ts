import { writeFileSync } from 'node:fs'

/** A small, seeded, learnable table: three spirals' worth of noisy clusters, `features` columns and a class label. */
export function writeClusters(file: string, rows: number, o: { features?: number; seed?: number } = {}): void {
  const { features = 4, seed = 1 } = o
  let state = seed >>> 0
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0 // the LCG of Numerical Recipes
    return state / 2 ** 32
  }
  const header = [...Array.from({ length: features }, (_, i) => `f${i}`), 'label'].join(',')
  const lines = Array.from({ length: rows }, () => {
    const label = Math.floor(random() * 3)
    const values = Array.from({ length: features }, (_, i) =>
      (Math.cos(label * 2 + i) + (random() - 0.5) * 0.8).toFixed(4),
    )
    return [...values, ['red', 'green', 'blue'][label]].join(',')
  })
  writeFileSync(file, `${[header, ...lines].join('\n')}\n`)
}
