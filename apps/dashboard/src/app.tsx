import { useEffect, useRef } from 'react'
import { ErrorBoundary } from './components/error-boundary.tsx'
import { Footer } from './components/footer.tsx'
import { Header } from './components/header.tsx'
import { JobPage } from './components/job-page.tsx'
import { NetworkPage } from './components/network-page.tsx'
import { StoragePage } from './components/storage-page.tsx'
import { Toast } from './components/toast.tsx'
import { useDatasets } from './hooks/use-datasets.ts'
import { useNetwork } from './hooks/use-network.ts'
import { useRoute } from './hooks/use-route.ts'
import { useTheme } from './hooks/use-theme.ts'

/** The page: a header, one of its places, and word of the connection. */
export function App() {
  const route = useRoute()
  const network = useNetwork()
  const { choice, theme, choose } = useTheme()
  const datasets = useDatasets(`${network.epoch} ${network.jobs.length}`)
  const main = useRef<HTMLElement>(null)
  const place = route.page === 'job' ? route.id : route.page
  const before = useRef(place)

  // Another place is read from its top, by eyes and by screen readers.
  useEffect(() => {
    if (before.current === place) return
    before.current = place
    window.scrollTo(0, 0)
    main.current?.focus({ preventScroll: true })
  }, [place])

  return (
    <>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <Header
        fogId={network.network?.fog.id}
        page={route.page}
        connection={network.connection}
        choice={choice}
        choose={choose}
      />
      <main className="frame" ref={main} tabIndex={-1} data-stale={network.connection === 'lost'}>
        <ErrorBoundary key={place}>
          {route.page === 'job' ? (
            <JobPage key={route.id} id={route.id} network={network} datasets={datasets} theme={theme} />
          ) : route.page === 'storage' ? (
            <StoragePage epoch={network.epoch} />
          ) : (
            <NetworkPage state={network} datasets={datasets} />
          )}
        </ErrorBoundary>
      </main>
      {network.network && <Footer fog={network.network.fog} />}
      <Toast state={network} dismiss={network.dismissNotice} />
    </>
  )
}
