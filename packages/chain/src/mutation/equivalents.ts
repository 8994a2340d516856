/** A mutant that no test can tell from the source, and why: not counted, and not hidden. */
export interface Equivalent {
  file: string
  /** A piece of the line that it is in. */
  line: string
  before: string
  after: string
  because: string
}

export const EQUIVALENTS: readonly Equivalent[] = []
