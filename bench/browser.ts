import { parseArgs } from 'node:util'
import { benchmarkModels } from '../packages/engine/src/testing/benchmark-models.ts'
import { BrowserStage } from '../packages/engine/src/testing/browser/stage.ts'
import { trainNatively } from '../packages/engine/src/testing/native.ts'
import type { Row } from './run.ts'

/** The same training steps in headless Chromium (onnxruntime-web, one thread) and natively in Node, in turns. */
export const summary = 'training steps in headless Chromium (WebAssembly) against native ones (--pairs, --steps)'

const MOST_DIFFERENCE = 1e-4
/** Steps at the start of a run that warm up and are not counted. */
const WARM_UP = 3

export default async function browser(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { pairs: { type: 'string', default: '5' }, steps: { type: 'string', default: '30' } },
  })
  const [pairs, steps] = [wholeNumber('pairs', values.pairs), wholeNumber('steps', values.steps)]
  await using stage = await BrowserStage.open()
  const rows: Row[] = []
  for (const [name, title] of [
    ['mlp', 'A, MLP'],
    ['cnn', 'B, CNN'],
    ['gpt', 'C, GPT'],
  ] as const) {
    // B's curve is chaotic after some steps: only A's is held to a bar.
    rows.push(...(await compare(stage, name, title, pairs, name === 'mlp' ? steps : Math.min(steps, 12))))
  }
  return rows
}

async function compare(
  stage: BrowserStage,
  name: keyof typeof benchmarkModels,
  title: string,
  pairs: number,
  steps: number,
): Promise<Row[]> {
  const page = await stage.page('plain')
  const ratios: number[] = []
  const stepMillis: number[] = []
  let difference = 0
  for (let pair = 0; pair < pairs; pair++) {
    const native = await trainNatively(benchmarkModels[name](), steps)
    const web = await page.evaluate(([name, steps]) => pingo.train(name, steps), [name, steps] as const)
    // What the browser takes more of, so that larger is slower.
    ratios.push(median(native.millis.slice(WARM_UP)) / median(web.millis.slice(WARM_UP)))
    stepMillis.push(median(web.millis.slice(WARM_UP)))
    difference = Math.max(difference, ...web.losses.map((loss, i) => Math.abs(loss - native.losses[i]!)))
  }
  await page.close()
  ratios.sort((a, b) => a - b)
  const range = `${ratios[0]!.toFixed(3)} … ${ratios.at(-1)!.toFixed(3)} in ${pairs} pairs`
  return [
    {
      name: `${title}: speed in the browser ÷ native (median; ${range})`,
      measured: median(ratios),
      bar: 'printed',
      holds: true,
    },
    { name: `${title}: a step in the browser`, measured: median(stepMillis), bar: 'printed', holds: true, unit: 'ms' },
    {
      name: `${title}: greatest difference of a loss, ${steps} steps`,
      measured: difference,
      bar: name === 'mlp' ? `≤ ${MOST_DIFFERENCE}` : 'printed',
      holds: name !== 'mlp' || difference <= MOST_DIFFERENCE,
    },
  ]
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  const least = name === 'steps' ? WARM_UP + 1 : 1
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${name} ${text} is not a whole number of ${least} or more.`)
  return value
}
