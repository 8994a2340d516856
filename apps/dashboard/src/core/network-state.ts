import type { JobView, NetworkView } from '@pingo/wire'
import type { Overview } from './api.ts'

/** Points kept for the network's sparkline: three minutes at a poll each 1.5 s. */
export const MAX_HISTORY = 120
/** One failed poll is a hiccup; after so many the page says that the fog node is gone. */
export const FAILURES_TO_LOST = 2

export type Connection = 'connecting' | 'live' | 'lost'

/** What happened to the connection and deserves a word. */
export type Notice = { kind: 'restarted' | 'recovered'; at: number }

export interface NetworkState {
  connection: Connection
  network: NetworkView | undefined
  jobs: JobView[]
  /** The fog node's clock at the last answer, ms. */
  serverNow: number
  /** Samples/s at each answer, oldest first. */
  history: number[]
  failures: number
  /** Browser's clock when the fog node stopped answering. */
  lostSince: number | undefined
  /** Why the last poll failed, a sentence. */
  error: string | undefined
  notice: Notice | undefined
  /** Counts restarts and recoveries: whoever holds a stream opens it anew when this changes. */
  epoch: number
}

export type NetworkEvent =
  | { type: 'polled'; overview: Overview; at: number }
  | { type: 'failed'; error: string; at: number }
  | { type: 'notice-read' }

export const initialNetworkState: NetworkState = {
  connection: 'connecting',
  network: undefined,
  jobs: [],
  serverNow: 0,
  history: [],
  failures: 0,
  lostSince: undefined,
  error: undefined,
  notice: undefined,
  epoch: 0,
}

/** The page's view of its fog node: polls in, what to show out. */
export function networkReducer(state: NetworkState, event: NetworkEvent): NetworkState {
  switch (event.type) {
    case 'polled':
      return polled(state, event.overview, event.at)
    case 'failed': {
      const failures = state.failures + 1
      return {
        ...state,
        failures,
        error: event.error,
        lostSince: state.lostSince ?? event.at,
        connection: failures >= FAILURES_TO_LOST ? 'lost' : state.connection,
      }
    }
    case 'notice-read':
      return state.notice === undefined ? state : { ...state, notice: undefined }
  }
}

function polled(state: NetworkState, { network, jobs, serverNow }: Overview, at: number): NetworkState {
  const before = state.network
  const restarted =
    before !== undefined && (before.fog.startedAt !== network.fog.startedAt || before.fog.id !== network.fog.id)
  const recovered = state.connection === 'lost'
  return {
    connection: 'live',
    network,
    jobs,
    serverNow,
    history: [...state.history, network.samplesPerSecond].slice(-MAX_HISTORY),
    failures: 0,
    lostSince: undefined,
    error: undefined,
    notice: restarted ? { kind: 'restarted', at } : recovered ? { kind: 'recovered', at } : state.notice,
    epoch: state.epoch + (restarted || recovered ? 1 : 0),
  }
}
