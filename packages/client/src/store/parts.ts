import type { Names, Source } from '@pingo/storage'
import type { Backup } from './backup.ts'
import type { Journals } from './journal.ts'
import type { Objects } from './objects.ts'
import type { OwnerIndex } from './owner-index.ts'

/** What the store's verbs work with. */
export interface StoreParts {
  readonly index: OwnerIndex
  readonly objects: Objects
  readonly journals: Journals
  readonly backup: Backup
  readonly names: Names
  /** ms since epoch. */
  readonly clock: () => number
  /** The owner's folder on this machine. */
  readonly home: string
  /** Gateways of fog nodes, to ask for blocks of public data. */
  readonly gateways: () => Promise<Source[]>
}
