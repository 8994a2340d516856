/** A share of a stacked chart. */
export interface Layer {
  name: string
  /** What a column of it is drawn with. */
  mark: string
  /** One value for each column. */
  values: readonly number[]
}

/** A stacked chart in text: `height` rows, a scale on the left in millions, labels under every `every`-th column. */
export function stackedChart(
  layers: readonly Layer[],
  o: { height: number; max: number; label: (column: number) => string; every: number },
): string[] {
  const columns = layers[0]?.values.length ?? 0
  const rows: string[] = []
  for (let row = o.height; row > 0; row--) {
    let line = ''
    for (let column = 0; column < columns; column++) {
      const at = ((row - 0.5) / o.height) * o.max
      let sum = 0
      line += layers.find(({ values }) => (sum += values[column] as number) >= at)?.mark ?? ' '
    }
    const scale = row % 2 === 0 || row === 1 ? `${Math.round(((row / o.height) * o.max) / 1e6)}M` : ''
    rows.push(`${scale.padStart(6)} ┤${line.trimEnd()}`)
  }
  let labels = ''
  for (let column = 0; column < columns; column += o.every) labels += o.label(column).padEnd(o.every)
  return [...rows, `${' '.repeat(7)}└${'─'.repeat(columns)}`, `${' '.repeat(8)}${labels.trimEnd()}`]
}
