import { MAX_NAME_VERSIONS, PinGoError } from '@pingo/wire'
import type { GroupedDatabase } from './database.ts'

/** Checks that a record is of the name and not over. @throws PinGoError NAME_* */
export type CheckName = (
  name: string,
  record: Uint8Array,
  clock: () => number,
) => Promise<{ sequence: number; validUntil: number }>

/** Bytes of all records that one node keeps: anybody may make names, and publish one over and over. */
const MAX_NAMES_BYTES = 1 << 30

export const NAMES_SCHEMA = `
CREATE TABLE IF NOT EXISTS names (name TEXT NOT NULL, sequence INTEGER NOT NULL, record BLOB NOT NULL, valid_until INTEGER NOT NULL,
  PRIMARY KEY (name, sequence)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS names_by_end ON names (valid_until);
`

/** Signed records of names (IPNS), the last {@link MAX_NAME_VERSIONS} of each. Signatures are checked before a record counts. */
export class NameStore {
  readonly #db: GroupedDatabase
  readonly #check: CheckName | undefined
  readonly #clock: () => number
  readonly #maxBytes: number
  #bytes: number

  constructor(
    db: GroupedDatabase,
    check: CheckName | undefined,
    clock: () => number,
    maxBytes: number = MAX_NAMES_BYTES,
  ) {
    this.#db = db
    this.#check = check
    this.#clock = clock
    this.#maxBytes = maxBytes
    this.#bytes = this.#held()
  }

  /** Names of which a record is here. */
  get size(): number {
    return this.#db.get<{ n: number }>('SELECT count(DISTINCT name) AS n FROM names')!.n
  }

  /** @throws PinGoError NAME_* (malformed, forged, over), NAME_OUTDATED */
  async put(name: string, record: Uint8Array): Promise<void> {
    if (!this.#check) throw new PinGoError('NAMES_UNSUPPORTED', 'This node keeps no names.')
    const { sequence, validUntil } = await this.#check(name, record, this.#clock)
    await this.#db.write(() => {
      const known = this.#db.get<{ sequence: number; record: Uint8Array; valid_until: number }>(
        'SELECT * FROM names WHERE name = ? ORDER BY sequence DESC LIMIT 1',
        name,
      )
      if (known && Buffer.compare(known.record, record) === 0) return
      // of the same sequence the one that lasts longer counts (IPNS)
      if (known && (known.sequence > sequence || (known.sequence === sequence && known.valid_until >= validUntil)))
        throw new PinGoError('NAME_OUTDATED', `A newer record of name ${name} is known: sequence ${known.sequence}.`, {
          hint: 'Publish with a higher sequence.',
          details: { sequence: known.sequence },
        })
      this.#remove('name = ? AND sequence = ?', name, sequence)
      // whoever fills the disk with names keeps nobody from moving on with theirs: what was before gives way
      if (this.#isFull(record)) this.#remove('name = ?', name)
      if (this.#isFull(record)) throw new PinGoError('QUOTA_EXCEEDED', 'This node keeps as many names as it can.')
      this.#db.run('INSERT INTO names VALUES (?, ?, ?, ?)', name, sequence, record, validUntil)
      this.#bytes += record.byteLength
      this.#remove(
        `name = ?1 AND sequence <= (SELECT sequence FROM names WHERE name = ?1 ORDER BY sequence DESC
         LIMIT 1 OFFSET ${MAX_NAME_VERSIONS})`,
        name,
      )
    })
  }

  /** The newest record that is not over. */
  get(name: string): Uint8Array | undefined {
    return this.#db.get<{ record: Uint8Array }>(
      'SELECT record FROM names WHERE name = ? AND valid_until > ? ORDER BY sequence DESC LIMIT 1',
      name,
      this.#clock(),
    )?.record
  }

  /** Newest first, also those that are over. */
  versions(name: string): Uint8Array[] {
    return this.#db
      .all<{ record: Uint8Array }>('SELECT record FROM names WHERE name = ? ORDER BY sequence DESC', name)
      .map(({ record }) => record)
  }

  /** Forgets records that ended before `time` (ms since epoch). */
  async prune(time: number): Promise<void> {
    await this.#db.write(() => this.#remove('valid_until < ?', time))
  }

  /** Within a write. */
  #remove(where: string, ...values: (string | number)[]): void {
    const removed = this.#db.all<{ bytes: number }>(
      `DELETE FROM names WHERE ${where} RETURNING length(record) AS bytes`,
      ...values,
    )
    for (const { bytes } of removed) this.#bytes -= bytes
  }

  #isFull = (record: Uint8Array): boolean => this.#bytes + record.byteLength > this.#maxBytes

  #held(): number {
    return this.#db.get<{ bytes: number }>('SELECT coalesce(sum(length(record)), 0) AS bytes FROM names')!.bytes
  }
}
