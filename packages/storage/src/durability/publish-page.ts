import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Code, SHARD_BYTES } from '@pingo/wire'
import { DEFAULT_CODE, FEW_NODES_CODE, SMALL_CODE } from '../placement/codes.ts'
import { durability } from './model.ts'
import { repairAt, urgentBelow } from './policy.ts'
import { type StripesOptions, simulateStripes } from './simulator/stripes.ts'

/** The page on durability: `node packages/storage/src/durability/publish-page.ts` writes it anew. */
export const PUBLISHED_PAGE = fileURLToPath(new URL('../../../../docs/storage-durability.md', import.meta.url))

const CODES: readonly Code[] = [DEFAULT_CODE, SMALL_CODE, FEW_NODES_CODE]
const CHURNS = [0.02, 0.05, 0.1, 0.2]
const GIB = 2 ** 30

/** Ten years in which, every second year, one of eight domains burns down; that is all that differs from a year of the table. */
const OUTAGES: StripesOptions = {
  seed: 1,
  code: DEFAULT_CODE,
  stripes: 2_000,
  years: 10,
  monthlyChurn: 0.05,
  checkDays: 1,
  nodes: 400,
  domains: 8,
  domainFailuresPerYear: 0.5,
}

const nameOf = ({ k, m }: Code) => (k === 1 ? `${k + m} copies` : `${k}+${m}`)
const percent = (part: number) => `${Number((100 * part).toPrecision(2))} %`
const short = (value: number) => (value === 0 ? '0' : value.toExponential(1).replace('e-', 'e−').replace('e+', 'e'))

function rows(): string[] {
  return CODES.flatMap((code) =>
    CHURNS.map((monthlyChurn) => {
      const daily = durability({ code, monthlyChurn, checkDays: 1 })
      const weekly = durability({ code, monthlyChurn, checkDays: 7 })
      const cells = [
        nameOf(code),
        percent(monthlyChurn),
        short(daily.lossPerStripeYear),
        daily.nines.toFixed(1),
        short(weekly.lossPerStripeYear),
        `${daily.repairPerMonth.toFixed(2)}×`,
      ]
      return `| ${cells.join(' | ')} |`
    }),
  )
}

/** docs/storage-durability.md. */
export function durabilityPage(): string {
  const stripesOfGib = Math.ceil(GIB / (DEFAULT_CODE.k * SHARD_BYTES))
  const gib = durability({ code: DEFAULT_CODE, monthlyChurn: 0.05, checkDays: 1 }).lossPerStripeYear * stripesOfGib
  const apart = simulateStripes(OUTAGES).lost
  const anyhow = simulateStripes({ ...OUTAGES, spread: false }).lost
  return `# How long stored data last

Written by \`node packages/storage/src/durability/publish-page.ts\` from the model (\`model.ts\`) and the simulator beside it;
\`npm run bench -- storage-durability\` holds the one against the other.

Data are cut into stripes of up to 10 MiB, each kept as 10 data shards and 6 of parity on 16 nodes: any 10 bring it back. A caretaker checks each
stripe daily, rebuilds what is missing when ${repairAt(DEFAULT_CODE)} shards or fewer are left, and before all others when fewer than ${urgentBelow(DEFAULT_CODE)} are. Small objects are kept
as ${SMALL_CODE.m + 1} copies, and all as ${FEW_NODES_CODE.m + 1} where fewer than 16 nodes exist; a missing copy is made again at the next check.

**Assumed**: nodes leave for good independently of each other, with all they hold, at the churn named (in 30 days); a check finds every loss, and what it
finds is repaired before the next node leaves; there are always nodes that take shards. *Loss* is the probability that a stripe is lost within a
year, *nines* its −log₁₀, *repair* the bytes read and written within 30 days for each byte of data.

| kept as | churn a month | loss, checked daily | nines | loss, checked weekly | repair |
| --- | --- | --- | --- | --- | --- |
${rows().join('\n')}

An object is lost with the first of its stripes: 1 GiB has ${stripesOfGib}, which at 5 % churn makes ${short(gib)} a year (${(-Math.log10(gib)).toFixed(1)} nines).

**What the table does not have in it** is what fails together: an operator with many nodes, a network, a region, a faulty version, and whoever
runs the nodes deciding otherwise. Nodes name a failure domain, and no two shards of a stripe lie in one while there are others. ${OUTAGES.stripes} stripes over
${OUTAGES.years} years of 5 % churn on ${OUTAGES.nodes} nodes in ${OUTAGES.domains} domains, of which one is lost for good every second year: ${apart} stripes lost with shards kept apart,
${anyhow} with shards placed anyhow. With fewer than 3 domains the loss of one takes more shards than the parity: then the table says nothing, and the
honest figure is how likely that domain is to fail. A domain is what a node says of itself: nodes that hide that they are one are not kept apart.
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PUBLISHED_PAGE, durabilityPage())
