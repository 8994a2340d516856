import { useEffect, useMemo } from 'react'
import { Empty } from '../components/empty.tsx'
import { ErrorBoundary } from '../components/error-boundary.tsx'
import { ThemeSwitch } from '../components/theme-switch.tsx'
import { Wordmark } from '../components/wordmark.tsx'
import { useTheme } from '../hooks/use-theme.ts'
import { machineApi, takeToken } from './api.ts'
import { Earned } from './earned.tsx'
import { Now } from './now.tsx'
import { SettingsForm } from './settings-form.tsx'
import { useMachine } from './use-machine.ts'

// once, before anything is drawn: it takes the token out of the address
const token = takeToken(location, sessionStorage)

/** This machine, for its owner. */
export function MachineApp() {
  const { choice, choose } = useTheme()
  return (
    <>
      <header className="header">
        <div className="frame header-row">
          <span className="home">
            <Wordmark />
          </span>
          <div className="header-fog">This machine</div>
          <ThemeSwitch choice={choice} choose={choose} />
        </div>
      </header>
      <main className="frame">
        <h1 className="visually-hidden">This machine</h1>
        <ErrorBoundary>{token ? <Machine token={token} /> : <Locked />}</ErrorBoundary>
      </main>
    </>
  )
}

function Locked() {
  return (
    <div className="panel">
      <Empty title="This page is for the owner of this machine">
        <p className="muted">
          Open the address that <code>npx pingo contribute status</code> prints: the part behind the # lets you in.
        </p>
      </Empty>
    </div>
  )
}

function Machine({ token }: { token: string }) {
  const api = useMemo(() => machineApi(token), [token])
  const { machine, act } = useMachine(api)
  const { view, settings, earnings, leases, error } = machine
  useEffect(() => {
    document.title = view ? `${view.name}: ${view.state} · PinGo` : 'This machine · PinGo'
  }, [view])
  return (
    <>
      <div role="status" aria-live="polite">
        {error && <p className="banner">{error}</p>}
        {view?.notices?.map((notice) => (
          <p className="banner" key={notice}>
            {notice}
          </p>
        ))}
      </div>
      {view && (
        <Now
          view={view}
          pause={(minutes) => act(api.pause(minutes).then((view) => ({ view })))}
          resume={() => act(api.resume().then((view) => ({ view })))}
        />
      )}
      {settings && (
        <SettingsForm settings={settings} change={(said) => act(api.change(said).then((settings) => ({ settings })))} />
      )}
      {earnings && <Earned earnings={earnings} leases={leases} />}
    </>
  )
}
