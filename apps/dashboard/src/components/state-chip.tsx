/** The state of a job or a contributor, as a word with a dot. */
export function StateChip({ state }: { state: string }) {
  return (
    <span className="chip" data-state={state}>
      <span className="dot" aria-hidden="true" />
      {state}
    </span>
  )
}
