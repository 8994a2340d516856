import type { DatasetView } from '@pingo/wire'
import { useEffect, useState } from 'react'
import { fetchDatasets } from '../core/api.ts'
import { useVisible } from './use-visible.ts'

/** Datasets come and go rarely. */
const POLL_MS = 10_000

/** The fog node's datasets, newest first; what was known stays while it does not answer. `key`: read anew when it changes. */
export function useDatasets(key: string): DatasetView[] {
  const [datasets, setDatasets] = useState<DatasetView[]>([])
  const visible = useVisible()

  // Dependencies: a changed key is a reason to read anew.
  useEffect(() => {
    if (!visible) return
    const stop = new AbortController()
    const read = () =>
      fetchDatasets(stop.signal).then(
        (list) => setDatasets(list.sort((a, b) => b.addedAt - a.addedAt)),
        () => undefined,
      )
    void read()
    const timer = setInterval(read, POLL_MS)
    return () => {
      stop.abort()
      clearInterval(timer)
    }
  }, [visible, key])

  return datasets
}
