import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Judged, runMutants, score } from '../packages/chain/src/mutation/run.ts'
import type { Row } from './run.ts'

export const summary =
  'small wrong changes of the contracts’ sources, each held against the contracts’ tests (--contract jetton/ --limit N --parallel 2 --journal FILE)'

const BAR = 0.95
const FEWEST = 200

/** Verdicts are kept in a journal: a run that was stopped is taken up where it was; only what the tests killed is believed again. */
export default async function chainMutants(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      contract: { type: 'string' },
      limit: { type: 'string' },
      parallel: { type: 'string', default: '2' },
      journal: { type: 'string', default: join(tmpdir(), 'pingo-mutants.jsonl') },
    },
  })
  const judged = await runMutants({
    contract: values.contract,
    limit: values.limit ? Number(values.limit) : undefined,
    parallel: Number(values.parallel),
    journal: values.journal,
    onJudged: ({ verdict, file, line, before, after, by }) => {
      if (verdict !== 'killed' && verdict !== 'broken' && verdict !== 'same')
        process.stderr.write(
          `${verdict}  ${file}:${line}  ${before}  →  ${after || '(nothing)'}${by ? `  (${by})` : ''}\n`,
        )
    },
  })
  const folders = [...new Set(judged.map(({ file }) => file.split('/')[0] as string))]
  const { killed, counted, share } = score(judged)
  const whole = !values.contract && !values.limit
  return [
    {
      name: 'mutants that differ and were judged',
      measured: counted,
      bar: `≥ ${FEWEST}`,
      holds: whole || counted >= FEWEST ? counted >= FEWEST : null,
    },
    { name: 'killed', measured: killed, bar: 'printed', holds: null },
    {
      name: 'share killed',
      measured: Number((share * 100).toFixed(1)),
      unit: '%',
      bar: '≥ 95',
      holds: counted > 0 ? share >= BAR : null,
    },
    ...folders.map((folder) =>
      rowOf(
        folder,
        judged.filter(({ file }) => file.startsWith(`${folder}/`)),
      ),
    ),
    ...(['equivalent', 'same', 'broken', 'slow'] as const).map((verdict) => ({
      name: WORDS[verdict],
      measured: judged.filter((each) => each.verdict === verdict).length,
      bar: 'printed',
      holds: null,
    })),
  ]
}

const WORDS = {
  equivalent: 'equivalent, with a reason in equivalents.ts (not counted)',
  same: 'the compiler made the same code of it (not counted)',
  broken: 'does not compile (not counted)',
  slow: 'tests did not end in time (counted as not killed)',
}

function rowOf(folder: string, judged: readonly Judged[]): Row {
  const { killed, counted } = score(judged)
  return { name: `killed of ${folder}`, measured: `${killed} of ${counted}`, bar: 'printed', holds: null }
}
