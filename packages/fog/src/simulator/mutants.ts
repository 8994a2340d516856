/** A bug planted in the real sources: in `file` (below the folder of packages) the text `find`, there exactly once, becomes `replace`. */
export interface Mutant {
  name: string
  file: string
  find: string
  replace: string
}

const updates = 'training/src/updates.ts'
const rounds = 'training/src/rounds.ts'
const job = 'training/src/job.ts'
const merge = 'training/src/merge.ts'
const ledger = 'training/src/ledger.ts'
const jobDraft = 'training/src/draft.ts'
const fog = 'fog/src/core/fog.ts'
const slices = 'fog/src/core/slices.ts'
const fogDraft = 'fog/src/core/draft.ts'
const shell = 'fog/src/simulator/shell.ts'

/** Bugs that the simulator must find: a check that is gone, a line that was forgotten, an order that was turned round. */
export const MUTANTS: readonly Mutant[] = [
  { name: 'fence check removed', file: updates, find: 'if (lease.fence !== report.fence)', replace: 'if (false)' },
  { name: 'base check removed', file: updates, find: 'if (core.base.cid !== report.base)', replace: 'if (false)' },
  { name: 'round check removed', file: updates, find: 'if (core.round !== report.round)', replace: 'if (false)' },
  {
    name: "another contributor's lease accepted",
    file: updates,
    find: 'if (lease.contributor !== report.contributor)',
    replace: 'if (false)',
  },
  {
    name: 'second update of a lease accepted',
    file: updates,
    find: 'return lease.update.update === report.update',
    replace: 'return true',
  },
  {
    name: 'update sent again is refused',
    file: updates,
    find: 'return lease.update.update === report.update',
    replace: 'return false',
  },
  {
    name: 'included update sent again is refused',
    file: updates,
    find: 'return wasIncluded(core, report) ?',
    replace: 'return false ?',
  },
  { name: 'more steps than leased', file: updates, find: ' || report.steps > lease.steps)', replace: ')' },
  { name: 'claimed samples believed', file: updates, find: 'if (report.samples !== samples)', replace: 'if (false)' },
  {
    name: 'numbers that are not finite accepted',
    file: updates,
    find: 'if (!numbers.every(Number.isFinite) ||',
    replace: 'if (',
  },
  {
    name: 'late update accepted',
    file: rounds,
    find: `  dropLeases(draft, outOf(core.outstanding), (lease) =>
    lease.held ? 'Its update was not in when the round closed.' : 'Its contributor was gone when the round closed.',
  )
`,
    replace: '',
  },
  {
    name: 'lease expiry ignored',
    file: job,
    find: 'filter((lease) => now >= lease.expiresAt)',
    replace: 'filter(() => false)',
  },
  {
    name: 'rest of a split lease not returned',
    file: job,
    find: '  core.ledger = giveBack(core.ledger, rest)\n',
    replace: '',
  },
  {
    name: 'duplicate update counted',
    file: updates,
    find: '  if (lease.update !== null)\n',
    replace: '  if (false)\n',
  },
  {
    name: "excluded update's range marked done",
    file: rounds,
    find: 'core.ledger = giveBack(core.ledger, ...dropped',
    replace: 'core.ledger = commitBatches(core.ledger, ...dropped',
  },
  {
    name: 'inclusion skipped',
    file: rounds,
    find: '.filter((lease) => lease.update !== null)\n    .map(',
    replace: '.filter((lease, index) => lease.update !== null && index > 0)\n    .map(',
  },
  {
    name: 'short last batch counted whole',
    file: ledger,
    find: 'Math.min(to * ledger.batch, ledger.totalSamples)',
    replace: 'to * ledger.batch',
  },
  {
    name: 'leased batches stay free',
    file: ledger,
    find: 'free = rest.length === 0 ? free.slice(piece) : [...rest, ...free.slice(piece)]',
    replace: 'free = [...free]',
  },
  {
    name: 'fences start again with each round',
    file: rounds,
    find: '{ granted: 0, failures: []',
    replace: '{ granted: 0, fence: 1, failures: []',
  },
  {
    name: 'merge in the order of arrival',
    file: merge,
    find: '.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))',
    replace: '',
  },
  {
    name: 'merge does not weigh by samples',
    file: merge,
    find: 'addDelta(gradient, update)',
    replace: 'addDelta(gradient, { ...update, weight: 1 })',
  },
  { name: 'momentum lost', file: merge, find: 'nextMomentum[i] = m', replace: 'nextMomentum[i] = g' },
  {
    name: 'state changed in place',
    file: jobDraft,
    find: 'outstanding: core.outstanding.slice()',
    replace: 'outstanding: core.outstanding',
  },
  {
    name: 'updates missing from the journal',
    file: fogDraft,
    find: 'draft.journal.push({ job: id, event })',
    replace: "if (event.type !== 'update') draft.journal.push({ job: id, event })",
  },
  {
    name: 'answer before the journal is durable',
    file: shell,
    find: '    this.#writes.push(write)\n',
    replace: '    this.#carryOut(write.commands.splice(0))\n    this.#writes.push(write)\n',
  },
  {
    name: 'merge under way forgotten by a restart',
    file: job,
    find: "  if (core.phase === 'merging') commands.push(mergeCommand(core))\n",
    replace: '',
  },
  {
    name: 'commit forgotten by a restart',
    file: job,
    find: "  if (core.last !== null) commands.push({ type: 'committed', round: core.last })\n",
    replace: '',
  },
  {
    name: 'timer not asked for after a restart',
    file: fog,
    find: '      draft.wake = Math.min(draft.wake, draft.jobs[core.settings.job]!.core.wakeAt ?? draft.wake)\n',
    replace: '',
  },
  {
    name: 'silent contributors stay',
    file: fog,
    find: 'if (slice === 0 && now - lastSeenAt >= EVICT_MS) evict(draft, peer)',
    replace: '',
  },
  {
    name: 'any contributor speaks for any slice',
    file: slices,
    find: 'granted !== undefined && peerOf(granted) === peer ?',
    replace: 'granted !== undefined ?',
  },
  {
    name: 'a slice that lost its memory keeps its job',
    file: slices,
    find: ' > memoryBytes) letGo(draft, before)',
    replace: ' > memoryBytes) continue',
  },
  {
    name: 'slices that are no longer lent stay',
    file: slices,
    find: `  if (known.length === 0) return
  removeFrom(draft, peer, slicesOfOffer(offer).length)
`,
    replace: `  if (known.length === 0) return
`,
  },
]
