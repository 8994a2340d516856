import type { OwnerSettings } from './settings.ts'
import type { OwnerWatch, Verdict } from './verdict.ts'

/** A watch without sensors: what is lent may be used at any time but while the owner holds it. For machines of one's own, and tests. */
export function alwaysWatch(settings: Pick<OwnerSettings, 'cores' | 'memoryBytes'>, clock = Date.now): OwnerWatch {
  const listeners: ((verdict: Verdict) => void)[] = []
  let lent = settings
  let hold: { since: number; until?: number | undefined } | undefined
  let timer: NodeJS.Timeout | undefined
  const verdictNow = (): Verdict => {
    const { cores, memoryBytes } = lent
    if (!hold) return { cores, memoryBytes }
    const sentence = 'Paused by its owner; `pingo contribute resume` ends it.'
    return { cores: 0, memoryBytes, pause: { reason: 'owner', ...hold, sentence } }
  }
  let verdict = verdictNow()
  const renew = (): void => {
    verdict = verdictNow()
    for (const listener of listeners) listener(verdict)
  }
  return {
    get verdict() {
      return verdict
    },
    get readings() {
      return { at: clock(), capacityCores: lent.cores }
    },
    slowed: { share: 0, lentMs: 0 },
    onChange: (listener) => void listeners.push(listener),
    change(changed) {
      lent = changed
      renew()
    },
    hold(until) {
      hold = { since: clock(), until }
      clearTimeout(timer)
      if (until !== undefined) timer = setTimeout(() => this.resume(), Math.max(0, until - clock())).unref()
      renew()
    },
    resume() {
      hold = undefined
      clearTimeout(timer)
      renew()
    },
    working() {},
    close: () => clearTimeout(timer),
  }
}
