import { PinGoError } from '@pingo/wire/errors'

/** @throws PinGoError ABORTED when the signal has been given */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new PinGoError('ABORTED', 'The import was stopped before its end.', { cause: signal.reason })
}
