/**
 * A mistake or a failure that a person can act on: a stable `code`, one sentence that says what is wrong and what to do,
 * and the cause. User mistakes never show a stack; programs compare `code`, never the text.
 */
export class PinGoError extends Error {
  override readonly name = 'PinGoError'
  readonly code: string
  readonly hint: string | undefined
  readonly details: Record<string, unknown> | undefined

  constructor(
    code: string,
    message: string,
    options: { hint?: string; cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details
  }

  /** The form in which an error crosses a wire: no stack, no cause. */
  toJSON(): ErrorJson {
    return { code: this.code, message: this.message, ...(this.hint === undefined ? {} : { hint: this.hint }) }
  }
}

export interface ErrorJson {
  code: string
  message: string
  hint?: string
}

/** True for a {@link PinGoError}, with the given code when one is given. */
export function isPinGoError(error: unknown, code?: string): error is PinGoError {
  return error instanceof PinGoError && (code === undefined || error.code === code)
}

/** Any thrown thing as one sentence, with the hint when there is one. */
export function sentence(error: unknown): string {
  if (error instanceof PinGoError) return error.hint ? `${error.message} ${error.hint}` : error.message
  return error instanceof Error ? error.message : String(error)
}
