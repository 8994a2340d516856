import type { NetworkView } from '@pingo/wire'
import { bytes } from '../core/format.ts'

/** The node behind the page. */
export function Footer({ fog }: { fog: NetworkView['fog'] }) {
  return (
    <footer className="frame footer muted">
      <span>PinGo {fog.version}</span>
      <span>fog node memory {bytes(fog.rssBytes)}</span>
      <span>read-only: jobs are submitted and stopped in a terminal</span>
    </footer>
  )
}
