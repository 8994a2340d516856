import { OTHERS } from '../core/palette.ts'

/** The colour of a contributor. */
export function Swatch({ index = OTHERS }: { index?: number | undefined }) {
  return <span className={`swatch colour-${index}`} aria-hidden="true" />
}
