import { useEffect, useState } from 'react'
import { fetchOverview } from '../core/api.ts'

const POLL_MS = 3_000

export interface Ledger {
  /** Samples of this contributor in committed rounds, of all time, as the fog node's ledger has them. */
  samples: number
  fogVersion: string
}

/** Asks the fog node now and then what it has credited to a contributor. */
export function useLedger(peerId: string | undefined): Ledger | undefined {
  const [ledger, set] = useState<Ledger>()
  useEffect(() => {
    if (peerId === undefined) return
    const gone = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const ask = async () => {
      try {
        const { network } = await fetchOverview(AbortSignal.any([gone.signal, AbortSignal.timeout(POLL_MS)]))
        const mine = network.contributors.find(({ id }) => id === peerId)
        if (mine && !gone.signal.aborted) set({ samples: mine.samples, fogVersion: network.fog.version })
      } catch {
        // The connection's own state says that the fog node is away.
      }
      if (!gone.signal.aborted) timer = setTimeout(ask, POLL_MS)
    }
    void ask()
    return () => {
      gone.abort()
      clearTimeout(timer)
    }
  }, [peerId])
  return ledger
}
