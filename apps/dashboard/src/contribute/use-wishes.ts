import type { OwnerWishes } from '@pingo/contributor/browser'
import { useState } from 'react'

const STORAGE_KEY = 'pingo-contribute'
const NAME_MAX = 60

export interface Wishes extends OwnerWishes {
  /** What others see in the list of contributors. */
  name: string
  /** Keeps the screen on while it contributes: phones put what runs in a page to sleep with it. */
  keepAwake: boolean
}

/** Half of one core, and nothing on a battery, out of sight or on a metered connection: what surprises nobody. */
const DEFAULTS: Wishes = {
  name: '',
  share: 0.5,
  whenHidden: 'pause',
  onBattery: 'pause',
  onMetered: 'pause',
  keepAwake: false,
}

const oneOf = <T extends string>(value: unknown, allowed: readonly T[], otherwise: T): T =>
  allowed.find((each) => each === value) ?? otherwise

/** What was remembered; anything odd in it becomes the default. */
export function readWishes(text: string | null): Wishes {
  let said: Partial<Record<keyof Wishes, unknown>> = {}
  try {
    said = (JSON.parse(text ?? '{}') as typeof said | null) ?? {}
  } catch {
    // Somebody else's words: the defaults hold.
  }
  const share = Number(said.share ?? DEFAULTS.share)
  return {
    name: typeof said.name === 'string' ? said.name.slice(0, NAME_MAX) : DEFAULTS.name,
    share: share >= 0.05 && share <= 1 ? share : DEFAULTS.share,
    whenHidden: oneOf(said.whenHidden, ['pause', 'slow', 'go-on'], DEFAULTS.whenHidden),
    onBattery: oneOf(said.onBattery, ['pause', 'go-on'], DEFAULTS.onBattery),
    onMetered: oneOf(said.onMetered, ['pause', 'go-on'], DEFAULTS.onMetered),
    keepAwake: said.keepAwake === true,
  }
}

/** The owner's choices, remembered by this browser. */
export function useWishes(): [Wishes, (change: Partial<Wishes>) => void] {
  const [wishes, set] = useState(() => {
    try {
      return readWishes(localStorage.getItem(STORAGE_KEY))
    } catch {
      return DEFAULTS
    }
  })
  const change = (changed: Partial<Wishes>) => {
    const next = { ...wishes, ...changed }
    set(next)
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(next))
    } catch {
      // Storage is switched off: the choice holds until the page is closed.
    }
  }
  return [wishes, change]
}
