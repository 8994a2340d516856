import type { Axis } from '../core/series.ts'

const CHOICES: { value: Axis; label: string }[] = [
  { value: 'samples', label: 'Samples' },
  { value: 'time', label: 'Time' },
]

/** What the curves' x axis counts. */
export function AxisSwitch({ axis, choose }: { axis: Axis; choose: (axis: Axis) => void }) {
  return (
    <fieldset className="segmented">
      <legend className="visually-hidden">Curves over</legend>
      {CHOICES.map(({ value, label }) => (
        <label key={value}>
          <input type="radio" name="axis" value={value} checked={axis === value} onChange={() => choose(value)} />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  )
}
