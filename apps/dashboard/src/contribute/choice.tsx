/** One of a few, with a name for all. */
export function Choice<T extends string>(o: {
  name: string
  label: string
  value: T
  choices: readonly { value: T; label: string }[]
  choose: (value: T) => void
  note?: string
}) {
  return (
    <div className="wish">
      <fieldset>
        <legend>{o.label}</legend>
        <div className="segmented">
          {o.choices.map(({ value, label }) => (
            <label key={value}>
              <input
                type="radio"
                name={o.name}
                value={value}
                checked={o.value === value}
                onChange={() => o.choose(value)}
              />
              <span>{label}</span>
            </label>
          ))}
        </div>
      </fieldset>
      {o.note !== undefined && <p className="wish-note">{o.note}</p>}
    </div>
  )
}
