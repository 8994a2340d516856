import type { Earnings, HistoryView, MachineView, SettingsChange, SettingsView } from '@pingo/wire'
import { ApiError, REQUEST_TIMEOUT_MS } from '../core/api.ts'

const KEPT = 'pingo-machine-token'

/**
 * The token that lets in: from the address, behind the #, from where it goes at once, so that it is in no history and on no screen; then from this
 * tab's memory.
 */
export function takeToken(place: Location, kept: Storage): string | undefined {
  const given = /[?&#]token=([\w-]+)/.exec(place.hash)?.[1]
  if (given) {
    kept.setItem(KEPT, given)
    history.replaceState(null, '', place.pathname)
  }
  return given ?? kept.getItem(KEPT) ?? undefined
}

/** The control API of the contributor that serves this page. */
export interface MachineApi {
  view(signal: AbortSignal): Promise<MachineView>
  settings(signal?: AbortSignal): Promise<SettingsView>
  history(signal: AbortSignal): Promise<HistoryView>
  earnings(signal: AbortSignal): Promise<Earnings>
  change(said: SettingsChange): Promise<SettingsView>
  pause(minutes?: number): Promise<MachineView>
  resume(): Promise<MachineView>
}

export function machineApi(token: string): MachineApi {
  const ask = async <T>(method: string, path: string, o: { body?: unknown; signal?: AbortSignal } = {}): Promise<T> => {
    const response = await fetch(`/v1/machine${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(o.body !== undefined && { 'content-type': 'application/json' }),
      },
      body: o.body === undefined ? null : JSON.stringify(o.body),
      cache: 'no-store',
      signal: AbortSignal.any([AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(o.signal ? [o.signal] : [])]),
    })
    const value = (await response.json()) as T & { error?: { message?: string; hint?: string } }
    if (response.ok) return value
    const { message = `The contributor answered ${response.status}.`, hint } = value.error ?? {}
    throw new ApiError(response.status, hint ? `${message} ${hint}` : message)
  }
  return {
    view: (signal) => ask('GET', '', { signal }),
    settings: (signal) => ask('GET', '/settings', { ...(signal && { signal }) }),
    history: (signal) => ask('GET', '/history?limit=50', { signal }),
    earnings: (signal) => ask('GET', '/earnings', { signal }),
    change: (body) => ask('PATCH', '/settings', { body }),
    pause: (minutes) => ask('POST', '/pause', { body: minutes === undefined ? {} : { minutes } }),
    resume: () => ask('POST', '/resume', { body: {} }),
  }
}

/** Any failure as a sentence for the owner. */
export function machineReason(error: unknown): string {
  if (error instanceof ApiError && error.status === 401)
    return 'The contributor was started anew. Open the address that `npx pingo contribute status` prints.'
  if (error instanceof ApiError) return error.message
  return 'The contributor does not answer. It may have ended: start it with npx pingo contribute.'
}
