/** A bug planted in the real sources: in `file` (of this package's durability/) the text `find`, there exactly once, becomes `replace`. */
export interface Mutant {
  name: string
  file: string
  find: string
  replace: string
}

/** Bugs that the simulator must find. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'nothing is repaired before it is nearly lost',
    file: 'policy.ts',
    find: 'left > repairAt(code)',
    replace: 'left > code.k',
  },
  {
    name: 'silent nodes are waited for without end',
    file: 'peers.ts',
    find: 'return now - since < ABSENCE_GRACE_MS',
    replace: 'return true',
  },
  {
    name: 'leases are renewed until now',
    file: 'part-care.ts',
    find: 'some, clock() + CHUNK_LEASE_MS, o)',
    replace: 'some, clock(), o)',
  },
  {
    name: 'failed audits are forgiven',
    file: 'reputation.ts',
    find: "const passed = outcome === 'passed'",
    replace: 'const passed = true',
  },
  {
    name: 'being offline is a failed audit',
    file: 'reputation.ts',
    find: " || outcome === 'offline') return before",
    replace: ') return before',
  },
  {
    name: 'leaving nodes keep what they have',
    file: 'peers.ts',
    find: "return this.get(peerId)?.record.state === 'leaving'",
    replace: 'return peerId === undefined',
  },
  {
    name: 'new caretakers are not told',
    file: 'care.ts',
    find: 'await node.commit(',
    replace: 'await Promise.resolve(',
  },
  {
    name: "an owner's last word is not heard",
    file: 'care.ts',
    find: 'for (const word of told) await',
    replace: 'for (const word of [] as Uint8Array[]) await',
  },
]
