import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { FogNode } from '@pingo/fog'
import type { ContributorView, NetworkView } from '@pingo/wire'
import { PAGES } from '../apps/cli/src/commands/fog/index.ts'
import { launchChromium } from '../packages/engine/src/testing/browser/chromium.ts'
import { cheat } from './support/cheat.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

/** Challenges follow each other at once: three in a row are seen in seconds. */
const OFTEN = { meanGapMs: 100, costShare: 1 }

async function contributors(fog: FogNode): Promise<ContributorView[]> {
  return (await getJson<NetworkView>(`${fog.url}/v1/network`)).contributors
}

test('six contributors of one machine are credited together what it has; each of them is told', {
  timeout: 300_000,
}, async () => {
  await using place = await Workplace.create()
  const fog = await FogNode.start({ home: place.path('fog'), challenges: OFTEN })
  try {
    const start = (i: number) =>
      place.node([
        'contribute',
        '--home',
        place.path(`c${i}`),
        '--name',
        `c${i}`,
        '--always',
        '--cores',
        '1',
        '--fog',
        fog.multiaddrs[0]!,
      ])
    await Promise.all(Array.from({ length: 6 }, (_, i) => start(i)))
    const all = async () => (await contributors(fog)).map(({ credited }) => credited)
    await until(async () => {
      const credits = await all()
      return credits.length === 6 && credits.every((credit) => (credit?.challenges ?? 0) >= 3)
    }, 'three challenges of each')
    const credits = await all()
    const cores = credits.reduce((sum, credit) => sum + credit!.cores, 0)
    const limit = Math.min(6, 1.5 * availableParallelism())
    assert.ok(cores > 0 && cores <= limit, `${cores} cores are credited on a machine of ${availableParallelism()}`)
    for (const credit of credits) assert.equal(credit!.flag, undefined, 'honest software claims what it showed')
  } finally {
    await fog.close()
  }
})

test('who claims four cores and has one is credited about one, and its claim is said to be false after three challenges', {
  timeout: 300_000,
}, async () => {
  await using place = await Workplace.create()
  const fog = await FogNode.start({ home: place.path('fog'), challenges: OFTEN })
  try {
    // much more than any machine has, so that the load of this one does not matter
    await using _ = await cheat({ fog: fog.multiaddrs[0]!, slices: 4, engines: 1, flops: 1e13 })
    const credit = async () => (await contributors(fog)).find(({ offer }) => offer.cores === 4)?.credited
    await until(async () => ((await credit())?.challenges ?? 0) >= 3, 'three challenges')
    const { cores, flag } = (await credit())!
    assert.ok(cores < 2.5, `${cores} cores are credited`)
    assert.ok(flag === 'slow' || flag === 'overclaimed', flag)
  } finally {
    await fog.close()
  }
})

test('a browser answers challenges: what it shows is credited to it, its answers are right, and its page says so', {
  timeout: 300_000,
}, async () => {
  await using place = await Workplace.create()
  const fog = await FogNode.start({ home: place.path('fog'), challenges: OFTEN, pages: PAGES })
  const browser = await launchChromium()
  try {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(`${fog.url}/contribute`)
    await page.getByLabel('Intensity').fill('100')
    await page.getByRole('button', { name: 'Start' }).click()
    const credit = async () => (await contributors(fog)).find(({ hardware }) => hardware.isolation === 'wasm')?.credited
    // answers are computed anew after each challenge: those of the first ones are, once there are four
    await until(async () => ((await credit())?.challenges ?? 0) >= 4, 'four challenges')
    const { flops, flag, cores } = (await credit())!
    assert.ok(flops > 1e8, `${flops} FLOP/s`)
    assert.ok(cores > 0 && cores <= 1, `${cores} cores`)
    assert.equal(flag, undefined)
    await page.getByText('GFLOP/s').waitFor()
    assert.deepEqual(errors, [])
  } finally {
    await browser.close()
    await fog.close()
  }
})
