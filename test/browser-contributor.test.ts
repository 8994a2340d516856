import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { JobView, Ledger, NetworkView } from '@pingo/wire'
import { type Browser, chromium, type Page } from 'playwright-core'
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

interface Fog {
  url: string
  token: string
  multiaddrs: string[]
}

describe('contributing in a browser', { timeout: 300_000 }, () => {
  let place: Workplace
  let browser: Browser
  let fog: Fog
  before(async () => {
    place = await Workplace.create()
    browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET })
    fog = (await place.node(['fog', '--home', place.path('fog'), '--port', '0'])).ready as unknown as Fog
    writeClusters(place.path('data.csv'), 4_000)
  })
  after(async () => {
    await browser?.close()
    await place?.[Symbol.asyncDispose]()
  })

  const network = () => getJson<NetworkView>(`${fog.url}/v1/network`)
  const job = (id: string) => getJson<JobView>(`${fog.url}/v1/jobs/${id}`)
  const ledgerOf = (id: string) => getJson<Ledger>(`${fog.url}/v1/jobs/${id}/ledger`)
  const contributor = async (name: string) => (await network()).contributors.find((each) => each.name === name)

  /** The page, as its owner sees it, and what went wrong in it. */
  async function open(): Promise<{ page: Page; errors: string[] }> {
    const context = await browser.newContext({ viewport: { width: 360, height: 780 } })
    const page = await context.newPage()
    const errors: string[] = []
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(`${fog.url}/contribute`)
    return { page, errors }
  }

  async function start(page: Page, name: string): Promise<void> {
    await page.getByLabel('Shown in the list of contributors').fill(name)
    await page.getByLabel('Intensity').fill('100')
    await page.getByRole('button', { name: 'Start' }).click()
    await until(() => contributor(name), `${name} to be connected`)
  }

  async function submit(name: string, train: string): Promise<string> {
    const file = place.path(`${name}.yaml`)
    await writeFile(
      file,
      `version: 1\nname: ${name}\nmodel: { template: mlp, hidden: [64] }\ndata: { train: data.csv, test: data.csv }\ntrain: { ${train} }\n`,
    )
    const { url, token } = fog
    const submitted = await place.run(['train', file, '--detach', '--json', '--fog', url, '--token', token])
    assert.equal(submitted.code, 0, submitted.stderr)
    const { jobs } = await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)
    return jobs.find((each) => each.name === name)!.id
  }

  test('works beside a native contributor: one ledger, counted again by job verify', async () => {
    const native = await place.node([
      'contribute',
      '--always',
      '--home',
      place.path('ada'),
      '--name',
      'ada',
      '--fog',
      fog.multiaddrs[0]!,
    ])
    const { page, errors } = await open()
    await start(page, 'pocket')
    const id = await submit('together', 'epochs: 60, batch: 16, round: 1s')
    await until(async () => ['done', 'failed'].includes((await job(id)).state), 'the job to be done')
    const done = await job(id)
    assert.equal(done.state, 'done', JSON.stringify(done))
    assert.ok(done.testMetric! > 0.95, `test accuracy ${done.testMetric}`)

    const { id: peer, hardware } = (await contributor('pocket'))!
    assert.equal(hardware.platform, 'browser')
    assert.equal(hardware.isolation, 'wasm')
    const ledger = await ledgerOf(id)
    assert.ok(
      ledger.entries.some((entry) => entry.contributor === peer),
      'the browser is in the ledger',
    )
    assert.ok(
      ledger.entries.some((entry) => entry.contributor !== peer),
      'and so is the native contributor',
    )
    const { url, token } = fog
    const verified = await place.run(['job', 'verify', id, '--fog', url, '--token', token])
    assert.equal(verified.code, 0, `${verified.lines.join('\n')} ${verified.stderr}`)
    const share = (await job(id)).shares.find((each) => each.contributor === peer)!
    await page.getByText('in all, in the ledger').waitFor()
    await until(async () => Number(digits(await credited(page))) === share.samples, 'the page to show its credit')
    assert.deepEqual(errors, [])
    await page.context().close()
    native.child.kill('SIGTERM')
    await native.ended
  })
})

const digits = (text: string) => text.replace(/\D/g, '')

/** The number under "Credited". */
const credited = (page: Page) => page.locator('.stat', { hasText: 'Credited' }).locator('.stat-value').innerText()
