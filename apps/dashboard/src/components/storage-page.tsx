import type { StorageView } from '@pingo/wire'
import { useEffect } from 'react'
import { bytes, plural } from '../core/format.ts'
import { useStorage } from '../hooks/use-storage.ts'
import { Command } from './command.tsx'
import { Empty } from './empty.tsx'
import { PeersTable } from './peers-table.tsx'
import { Section } from './section.tsx'
import { StorageHealth } from './storage-health.tsx'
import { StorageStats } from './storage-stats.tsx'
import { StoredObjectsTable } from './stored-objects-table.tsx'

/** The fog node in the storage network: what it keeps, for whom it cares, who the others are. */
export function StoragePage({ epoch }: { epoch: number }) {
  const state = useStorage(epoch)
  const { storage, serverNow, error } = state
  useEffect(() => {
    document.title = 'Storage · PinGo'
  }, [])
  return (
    <>
      <h1 className="visually-hidden">Storage</h1>
      {storage?.leaving && (
        <p className="banner" role="status">
          {leavingSentence(storage.leaving)}
        </p>
      )}
      <StorageStats state={state} />
      {storage === undefined && error !== undefined && <p className="muted">{error}</p>}
      {storage !== undefined && (
        <>
          <StorageHealth storage={storage} />
          <Section
            title="Fog nodes"
            aside={storage.peers.length > 0 ? plural(storage.peers.length, 'peer') : undefined}
          >
            {storage.peers.length === 0 ? (
              <div className="panel">
                <Empty title="No other fog node yet">
                  <p className="muted">Data are kept here alone until others join. Start one that knows this one:</p>
                  <Command text={`npx pingo fog --peer ${location.origin}`} what="the command that adds a fog node" />
                </Empty>
              </div>
            ) : (
              <PeersTable peers={storage.peers} now={serverNow} />
            )}
          </Section>
          <StoredObjectsTable objects={storage.objects} total={storage.care.objects} now={serverNow} />
          <Traffic storage={storage} />
        </>
      )}
    </>
  )
}

function Traffic({ storage: { repairs, scrub, provided } }: { storage: StorageView }) {
  const words = [
    `Repairs read ${bytes(repairs.bytesRead)} and wrote ${bytes(repairs.bytesWritten)} since the start.`,
    `Blocks at rest: ${plural(scrub.rounds, 'round')} through all of them, ${plural(scrub.damaged, 'block')} found damaged since the start.`,
    provided === undefined ? undefined : `${plural(provided, 'root')} told in the distributed hash table.`,
  ]
  return <p className="muted section">{words.filter(Boolean).join(' ')}</p>
}

function leavingSentence({ isDone, askedAt, shards, objects, inCare }: NonNullable<StorageView['leaving']>): string {
  if (isDone) return 'This fog node leaves. All that it kept is kept elsewhere now: it may be stopped.'
  if (askedAt === undefined) return 'This fog node leaves: what it keeps is being moved to others.'
  return `This fog node leaves: ${plural(shards, 'shard')} of ${plural(objects, 'object')} still to be moved, ${plural(inCare, 'object')} to be handed over.`
}
