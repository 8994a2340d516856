import type { Connection } from '../core/network-state.ts'
import { networkHref, type Route, storageHref } from '../core/route.ts'
import type { ThemeChoice } from '../hooks/use-theme.ts'
import { ConnectionState } from './connection-state.tsx'
import { Identifier } from './identifier.tsx'
import { ThemeSwitch } from './theme-switch.tsx'
import { Wordmark } from './wordmark.tsx'

interface Props {
  fogId: string | undefined
  page: Route['page']
  connection: Connection
  choice: ThemeChoice
  choose: (choice: ThemeChoice) => void
}

/** Whose page this is, and whether it is connected. */
export function Header({ fogId, page, connection, choice, choose }: Props) {
  return (
    <header className="header">
      <div className="frame header-row">
        <a className="home" href={networkHref} aria-label="PinGo: the network">
          <Wordmark />
        </a>
        <div className="header-fog">
          <span className="muted">Fog node</span>
          {fogId === undefined ? <span className="skeleton header-id" /> : <Identifier id={fogId} what="fog node id" />}
        </div>
        <ConnectionState connection={connection} />
        <ThemeSwitch choice={choice} choose={choose} />
      </div>
      <nav className="frame places" aria-label="Places">
        <a href={networkHref} aria-current={page === 'network' ? 'page' : undefined}>
          Network
        </a>
        <a href={storageHref} aria-current={page === 'storage' ? 'page' : undefined}>
          Storage
        </a>
      </nav>
    </header>
  )
}
