/** Any failure of a request as a sentence for the reader. */
export function reason(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'The fog node takes too long to answer.'
  // What browsers throw when nothing listens: each has its own words for it.
  if (error instanceof TypeError) return 'The fog node does not answer.'
  if (error instanceof SyntaxError) return "The fog node's answer is not JSON."
  return error instanceof Error ? error.message : String(error)
}
