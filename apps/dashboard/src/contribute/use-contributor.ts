import { type Allowance, type BrowserView, contribute, type WebContributor } from '@pingo/contributor/browser'
import { useEffect, useRef, useState } from 'react'

export interface Contributing {
  /** From `start` until what was done is handed in. */
  isOn: boolean
  isLeaving: boolean
  view: BrowserView | undefined
  /** Why it ended by itself. */
  failure: string | undefined
  start(name: string): void
  stop(): void
}

/** The contributor of this page: one at a time, with what it is allowed at the moment. */
export function useContributor(allowance: Allowance): Contributing {
  const [view, setView] = useState<BrowserView>()
  const [phase, setPhase] = useState<'off' | 'on' | 'leaving'>('off')
  const [failure, setFailure] = useState<string>()
  const running = useRef<WebContributor>(undefined)
  const text = JSON.stringify(allowance)

  useEffect(() => running.current?.allow(JSON.parse(text) as Allowance), [text])

  const start = (name: string) => {
    if (running.current) return
    setFailure(undefined)
    setView(undefined)
    setPhase('on')
    const ended = (why?: string) => {
      running.current = undefined
      setPhase('off')
      setFailure(why)
    }
    running.current = contribute({ name, allowance, onView: setView, onEnd: ended })
  }
  const stop = () => {
    const contributor = running.current
    if (!contributor) return
    setPhase('leaving')
    void contributor.leave().then(() => {
      if (running.current !== contributor) return
      running.current = undefined
      setPhase('off')
    })
  }
  return { isOn: phase !== 'off', isLeaving: phase === 'leaving', view, failure, start, stop }
}
