import type { JobView, Ledger, ModelCard, RoundView } from '@pingo/wire'

/** One thing that was recounted. */
export interface Check {
  /** What holds (or does not), a sentence. */
  what: string
  holds: boolean
  /** The first place where it does not hold. */
  fault?: string
}

export interface Verification {
  holds: boolean
  checks: Check[]
  samples: number
  batches: number
  rounds: number
  contributors: { contributor: string; samples: number; updates: number }[]
}

/**
 * Recounts a job's ledger: every batch of the stream was trained exactly once, samples add up, and what the rounds, the
 * job and its model card say of each contributor is what the ledger says. Pure: trusts none of the sums it is given.
 */
export function verifyLedger(
  ledger: Ledger,
  others: { job: JobView; rounds: RoundView[]; card?: ModelCard },
): Verification {
  const { job, rounds, card } = others
  const checks: Check[] = []
  const check = (what: string, fault: string | undefined) => {
    checks.push({ what, holds: fault === undefined, ...(fault === undefined ? {} : { fault }) })
  }
  const entries = ledger.entries.toSorted((a, b) => a.from - b.from || a.to - b.to)
  const { batch, samplesTotal, batchesTotal } = ledger
  const done = job.state === 'done'
  const start = (index: number) => Math.min(index * batch, samplesTotal)

  check(
    `${batchesTotal} batches of ${batch} hold the job's ${samplesTotal} samples`,
    Math.ceil(samplesTotal / batch) === batchesTotal && samplesTotal === job.samplesTotal
      ? undefined
      : `${samplesTotal} samples in batches of ${batch} are ${Math.ceil(samplesTotal / batch)} batches; the job says ${job.samplesTotal} samples`,
  )
  check('no batch was counted twice', overlapOf(entries))
  if (done) check('no batch was left out', gapOf(entries, batchesTotal))
  const wrongSum = entries.find((entry) => entry.samples !== start(entry.to) - start(entry.from))
  check(
    'each entry has the samples of its batches',
    wrongSum &&
      `batches ${wrongSum.from} to ${wrongSum.to} are ${start(wrongSum.to) - start(wrongSum.from)} samples, not ${wrongSum.samples}`,
  )
  const samples = sum(entries.map((entry) => entry.samples))
  const expected = done ? samplesTotal : job.samplesDone
  check(`the entries add up to ${expected} samples`, samples === expected ? undefined : `they add up to ${samples}`)
  const leases = new Map(entries.map((entry) => [entry.lease, entry]))
  const shared = entries.find((entry) => {
    const first = leases.get(entry.lease)!
    return first.update !== entry.update || first.contributor !== entry.contributor || first.round !== entry.round
  })
  check('each lease was included once', shared && `lease ${shared.lease} stands for two updates`)
  check('each round has the samples of its entries', roundFault(entries, rounds))

  const contributors = sharesOf(entries)
  check('the shares of the job are those of the ledger', shareFault(contributors, job.shares))
  if (card) {
    check('the shares of the model card are those of the ledger', shareFault(contributors, card.contributors))
    check(
      'the model card tells the samples and rounds of the ledger',
      card.samples === samples && card.rounds === job.rounds
        ? undefined
        : `it tells ${card.samples} samples in ${card.rounds} rounds`,
    )
  }
  return {
    holds: checks.every(({ holds }) => holds),
    checks,
    samples,
    batches: sum(entries.map((entry) => entry.to - entry.from)),
    rounds: new Set(entries.map((entry) => entry.round)).size,
    contributors,
  }
}

type Entry = Ledger['entries'][number]

function overlapOf(entries: Entry[]): string | undefined {
  for (let i = 0; i < entries.length; i++) {
    const { from, to } = entries[i]!
    if (to <= from) return `batches ${from} to ${to} are no range`
    const before = entries[i - 1]
    if (before && from < before.to)
      return `batch ${from} is in rounds ${before.round} and ${entries[i]!.round} (leases ${before.lease}, ${entries[i]!.lease})`
  }
  return undefined
}

function gapOf(entries: Entry[], batchesTotal: number): string | undefined {
  let next = 0
  for (const { from, to } of entries) {
    if (from > next) return `batches ${next} to ${from} are missing`
    next = Math.max(next, to)
  }
  if (next < batchesTotal) return `batches ${next} to ${batchesTotal} are missing`
  return next > batchesTotal ? `batch ${next - 1} is beyond the job's end` : undefined
}

function roundFault(entries: Entry[], rounds: RoundView[]): string | undefined {
  const counted = new Map<number, number>()
  for (const { round, samples } of entries) counted.set(round, (counted.get(round) ?? 0) + samples)
  let before = 0
  for (const round of rounds.toSorted((a, b) => a.round - b.round)) {
    if ((counted.get(round.round) ?? 0) !== round.samples)
      return `round ${round.round} tells ${round.samples} samples, the ledger ${counted.get(round.round) ?? 0}`
    if (sum(round.shares.map((share) => share.samples)) !== round.samples)
      return `the shares of round ${round.round} do not add up to its ${round.samples} samples`
    if (round.samplesDone < before + round.samples && rounds.length === counted.size)
      return `round ${round.round} tells ${round.samplesDone} samples in all`
    before = round.samplesDone
  }
  return undefined
}

function sharesOf(entries: Entry[]): Verification['contributors'] {
  const shares = new Map<string, { samples: number; updates: Set<string> }>()
  for (const { contributor, samples, lease } of entries) {
    const share = shares.get(contributor) ?? { samples: 0, updates: new Set() }
    share.samples += samples
    share.updates.add(lease)
    shares.set(contributor, share)
  }
  return [...shares]
    .map(([contributor, { samples, updates }]) => ({ contributor, samples, updates: updates.size }))
    .sort((a, b) => b.samples - a.samples || a.contributor.localeCompare(b.contributor))
}

function shareFault(
  counted: Verification['contributors'],
  told: { contributor: string; samples: number; updates: number }[],
): string | undefined {
  const shares = new Map(told.map((share) => [share.contributor, share]))
  for (const { contributor, samples, updates } of counted) {
    const share = shares.get(contributor)
    if (share?.samples !== samples || share.updates !== updates)
      return `${contributor} trained ${samples} samples in ${updates} updates, told are ${share?.samples ?? 0} in ${share?.updates ?? 0}`
    shares.delete(contributor)
  }
  const extra = [...shares.values()].find((share) => share.samples > 0)
  return extra && `${extra.contributor} is told to have trained ${extra.samples} samples and is not in the ledger`
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
