import type { NetworkView } from '@pingo/wire'
import { bytes } from '../core/format.ts'

/** The node behind the page. */
export function Footer({ fog }: { fog: NetworkView['fog'] | undefined }) {
  return (
    <footer className="frame footer muted">
      <span>{fog === undefined ? 'PinGo' : `PinGo ${fog.version}`}</span>
      {fog !== undefined && <span>fog node memory {bytes(fog.rssBytes)}</span>}
      <span>read-only: jobs are submitted and stopped in a terminal</span>
    </footer>
  )
}
