import { shortId } from '../core/format.ts'
import { CopyButton } from './copy-button.tsx'

/** A long identifier, shortened, with the whole of it in the tooltip and on the clipboard. */
export function Identifier({ id, what, head, tail }: { id: string; what: string; head?: number; tail?: number }) {
  return (
    <span className="identifier">
      <code title={id}>{shortId(id, head, tail)}</code>
      <CopyButton text={id} what={what} />
    </span>
  )
}
