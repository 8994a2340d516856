import type { StorageView } from '@pingo/wire'
import { bytes, percent, plural, whole } from '../core/format.ts'
import { hitRatio, type StorageState } from '../core/storage-state.ts'
import { Sparkline } from './sparkline.tsx'
import { Stat } from './stat.tsx'

const leased = ({ leasedBytes, usedBytes }: StorageView['node']): number =>
  usedBytes > 0 ? Math.min(1, leasedBytes / usedBytes) : 0

/** The node's storage at a glance. */
export function StorageStats({ state: { storage, history } }: { state: StorageState }) {
  const ratio = storage && hitRatio(storage.reads)
  const reads = storage ? Object.values(storage.reads).reduce((sum, n) => sum + n, 0) : 0
  return (
    <dl className="panel stats" aria-label="Storage" aria-busy={storage === undefined}>
      <Stat
        label="Disk"
        value={storage && bytes(storage.node.usedBytes)}
        note={storage && `of ${bytes(storage.node.capacityBytes)} · ${percent(leased(storage.node), 0)} leased`}
      />
      <Stat
        label="In care"
        value={storage && whole(storage.care.objects)}
        unit={storage?.care.objects === 1 ? 'object' : 'objects'}
        note={storage && (storage.care.due > 0 ? `${whole(storage.care.due)} to be checked` : 'none due')}
      />
      <Stat
        label="Cache hits"
        value={storage && percent(ratio)}
        note={
          storage &&
          `${plural(reads, 'read')} · cache ${bytes(storage.cache.bytes)} of ${bytes(storage.cache.maxBytes)}`
        }
      >
        <Sparkline values={history} label={`Share of reads that were hits, now ${percent(history.at(-1))}`} />
      </Stat>
      <Stat
        label="Audits passed"
        value={storage && whole(storage.audits.passed)}
        note={storage && `${whole(storage.audits.failed)} failed · ${whole(storage.audits.unanswered)} unanswered`}
      />
      <Stat
        label="Repairs waiting"
        value={storage && whole(storage.care.repairsQueued)}
        note={storage && `${whole(storage.repairs.rebuilt)} rebuilt · ${whole(storage.repairs.moved)} moved`}
      />
    </dl>
  )
}
