import { useEffect, useState, useSyncExternalStore } from 'react'

export type ThemeChoice = 'light' | 'system' | 'dark'
/** Read by `public/theme.js` before the first paint. */
const STORAGE_KEY = 'pingo-theme'

const darkQuery = window.matchMedia('(prefers-color-scheme: dark)')

function remembered(): ThemeChoice {
  const set = document.documentElement.dataset.theme
  return set === 'light' || set === 'dark' ? set : 'system'
}

function remember(choice: ThemeChoice): void {
  try {
    if (choice === 'system') localStorage.removeItem(STORAGE_KEY)
    else localStorage.setItem(STORAGE_KEY, choice)
  } catch {
    // Storage is switched off: the choice holds until the page is closed.
  }
}

/** The chosen theme, the one in effect, and how to choose. */
export function useTheme(): { choice: ThemeChoice; theme: 'light' | 'dark'; choose: (choice: ThemeChoice) => void } {
  const [choice, setChoice] = useState(remembered)
  const systemDark = useSyncExternalStore(
    (listener) => {
      darkQuery.addEventListener('change', listener)
      return () => darkQuery.removeEventListener('change', listener)
    },
    () => darkQuery.matches,
  )
  const theme = choice === 'system' ? (systemDark ? 'dark' : 'light') : choice

  // Two tabs of one fog node agree.
  useEffect(() => {
    const onStorage = (event: StorageEvent) => {
      if (event.key !== STORAGE_KEY) return
      const value = event.newValue === 'light' || event.newValue === 'dark' ? event.newValue : 'system'
      apply(value)
      setChoice(value)
    }
    window.addEventListener('storage', onStorage)
    return () => window.removeEventListener('storage', onStorage)
  }, [])

  const choose = (value: ThemeChoice) => {
    apply(value)
    remember(value)
    setChoice(value)
  }
  return { choice, theme, choose }
}

function apply(choice: ThemeChoice): void {
  if (choice === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = choice
}
