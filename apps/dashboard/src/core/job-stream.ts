import type { JobEvent } from '@pingo/wire'
import { decodeEvent } from './decode.ts'

/** Events are handed on in batches: a replay of a long job is one redraw, not thousands. */
export const BATCH_MS = 100
/** Before a stream that the browser gave up is opened anew. */
export const REOPEN_MS = 2_000

const EVENT_TYPES = ['state', 'round', 'progress', 'log'] as const

export interface StreamPorts {
  /** False for a job that is over: its events are read once, and the stream's end is the end. */
  endless: boolean
  onEvents(events: JobEvent[]): void
  /** `again` is true when it was open before: something may have been missed. */
  onOpen(again: boolean): void
  onClosed(): void
}

/**
 * Listens to a job's Server-Sent Events. A broken connection is resumed by the browser, with the id of the last event it
 * saw; one that the browser gave up (an error status while the fog node restarts) is opened anew. Returns how to stop.
 */
export function openJobStream(url: string, ports: StreamPorts): () => void {
  let source: EventSource | undefined
  let batch: JobEvent[] = []
  let flushTimer: ReturnType<typeof setTimeout> | undefined
  let reopenTimer: ReturnType<typeof setTimeout> | undefined
  let openedBefore = false

  const flush = () => {
    flushTimer = undefined
    const events = batch
    batch = []
    ports.onEvents(events)
  }
  const onMessage = (message: MessageEvent<string>) => {
    const event = decodeEvent(message.data)
    if (event === undefined) return
    batch.push(event)
    flushTimer ??= setTimeout(flush, BATCH_MS)
  }
  const open = () => {
    const opened = new EventSource(url)
    source = opened
    for (const type of EVENT_TYPES) opened.addEventListener(type, onMessage)
    opened.onopen = () => {
      ports.onOpen(openedBefore)
      openedBefore = true
    }
    opened.onerror = () => {
      ports.onClosed()
      if (!ports.endless) opened.close()
      else if (opened.readyState === EventSource.CLOSED) reopenTimer = setTimeout(open, REOPEN_MS)
    }
  }
  open()
  return () => {
    source?.close()
    clearTimeout(flushTimer)
    clearTimeout(reopenTimer)
  }
}
