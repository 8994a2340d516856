import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { JobView } from '@pingo/wire'
import { chromium } from 'playwright-core'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

const CHROMIUM = [
  process.env.PINGO_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path && existsSync(path))
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

test('the dashboard of a real fog node follows a real job to its downloads', { timeout: 180_000 }, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), 4_000)
  await writeFile(
    place.path('job.yaml'),
    `version: 1
name: watched
model: { template: mlp, hidden: [64] }
data: { train: data.csv, test: data.csv }
train: { epochs: 30, batch: 16, round: 1s }
`,
  )
  const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  for (const name of ['ada', 'grace'])
    await place.node(['contribute', '--always', '--home', place.path(name), '--name', name, '--fog', multiaddrs[0]!])

  const browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET })
  try {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(url)
    await page.getByText('ada').first().waitFor()
    await page.getByText('grace').first().waitFor()

    const submitted = await place.run([
      'train',
      place.path('job.yaml'),
      '--detach',
      '--json',
      '--fog',
      url,
      '--token',
      token,
    ])
    assert.equal(submitted.code, 0, submitted.stderr)
    await page.getByText('watched').first().click()
    await page.waitForURL(/#\/jobs\/job-/)
    await page.locator('canvas').first().waitFor()
    const job = async () => (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs[0]!
    await until(async () => (await job()).state === 'done', 'the job to be done')
    const download = page.waitForEvent('download')
    await page.getByRole('link', { name: /model\.onnx/ }).click()
    assert.equal((await download).suggestedFilename(), 'model.onnx')

    await page.setViewportSize({ width: 390, height: 800 })
    assert.equal(
      await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
      true,
      'no sideways scrolling on a phone',
    )
    assert.deepEqual(errors, [])
  } finally {
    await browser.close()
  }
})
