import { useEffect, useRef, useState } from 'react'
import type { Words } from './words.ts'

/** Between two leases there is a moment of nothing, which is not worth a word. */
const PATIENCE_MS = 2_000

/** The words, but that short gaps of work are not told: neither to eyes nor to screen readers. */
export function useCalm(words: Words): Words {
  const [shown, show] = useState(words)
  const latest = useRef(words)
  latest.current = words
  const { tone, title, sentence } = words
  useEffect(() => {
    const isGap = shown.tone === 'training' && tone === 'idle'
    if (shown.title === title && shown.sentence === sentence) return
    const timer = setTimeout(() => show(latest.current), isGap ? PATIENCE_MS : 0)
    return () => clearTimeout(timer)
  }, [tone, title, sentence, shown])
  return shown
}
