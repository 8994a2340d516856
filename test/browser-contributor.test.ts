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

  /** @returns the job's id */
  async function submit(name: string, train: string, o: { hidden?: string; data?: string } = {}): Promise<string> {
    const file = place.path(`${name}.yaml`)
    await writeFile(
      file,
      `version: 1
name: ${name}
model: { template: mlp, hidden: [${o.hidden ?? '64'}] }
data: { train: data.csv, test: data.csv${o.data ?? ''} }
train: { ${train} }
`,
    )
    const { url, token } = fog
    const submitted = await place.run(['train', file, '--detach', '--json', '--fog', url, '--token', token])
    assert.equal(submitted.code, 0, submitted.stderr)
    const { jobs } = await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)
    return jobs.find((each) => each.name === name)!.id
  }

  const isOver = async (id: string) => ['done', 'failed', 'stopped'].includes((await job(id)).state)
  const inFlight = async (id: string) => (await job(id)).samplesInFlight > 0
  async function verify(id: string): Promise<void> {
    const { url, token } = fog
    const verified = await place.run(['job', 'verify', id, '--fog', url, '--token', token])
    assert.equal(verified.code, 0, `${verified.lines.join('\n')} ${verified.stderr}`)
  }
  async function native(name: string): Promise<() => Promise<unknown>> {
    const home = place.path(name)
    const node = await place.node([
      'contribute',
      '--always',
      '--home',
      home,
      '--name',
      name,
      '--fog',
      fog.multiaddrs[0]!,
    ])
    return () => {
      node.child.kill('SIGTERM')
      return node.ended
    }
  }

  test('works beside a native contributor: one ledger, counted again by job verify', async () => {
    const leave = await native('ada')
    const { page, errors } = await open()
    await start(page, 'pocket')
    const id = await submit('together', 'epochs: 60, batch: 16, round: 1s')
    await until(() => isOver(id), 'the job to be done')
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
    await verify(id)
    const share = (await job(id)).shares.find((each) => each.contributor === peer)!
    await page.getByText('in all, in the ledger').waitFor()
    await until(async () => Number(digits(await credited(page))) === share.samples, 'the page to show its credit')
    assert.deepEqual(errors, [])
    await page.context().close()
    await leave()
  })

  test('a stop in mid-lease hands in what is done; a closed tab gives the lease back; others finish, every batch once', async () => {
    const { page, errors } = await open()
    await start(page, 'coming and going')
    const id = await submit('long', 'epochs: 60, batch: 64, round: 10s', { hidden: '256, 256' })
    await until(() => inFlight(id), 'the browser to train')
    await page.getByRole('heading', { name: 'Training' }).waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('button', { name: 'Start' }).waitFor()
    await until(async () => (await job(id)).samplesDone > 0, 'what was done to be committed')
    assert.equal(await contributor('coming and going'), undefined)
    const { samplesDone, samplesTotal } = await job(id)
    assert.ok(samplesDone < samplesTotal, 'it was in the middle')

    // the same identity again, whose tab is closed in the middle
    await start(page, 'closing')
    await until(() => inFlight(id), 'the browser to train again')
    await page.close()
    await until(async () => !(await contributor('closing')), 'the fog node to notice')
    assert.deepEqual(errors, [])
    const leave = await native('grace')
    await until(() => isOver(id), 'the job to be done')
    assert.equal((await job(id)).state, 'done')
    await verify(id)
    const { shares } = await job(id)
    assert.equal(shares.length, 2, 'both visits of the browser are one contributor')
    await page.context().close()
    await leave()
  })

  test('pauses out of sight when its owner wants that, with what is done handed in, and goes on by itself', async () => {
    const { page, errors } = await open()
    await start(page, 'shy')
    const id = await submit('glimpsed', 'epochs: 30, batch: 64, round: 60s', { hidden: '256, 256' })
    await until(() => inFlight(id), 'the browser to train')
    const show = (isHidden: boolean) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
        document.dispatchEvent(new Event('visibilitychange'))
      }, isHidden)
    await show(true)
    await until(async () => (await contributor('shy'))?.state === 'paused', 'the fog node to see it paused')
    await until(async () => (await job(id)).samplesDone > 0, 'what was done to be committed')
    await page.getByText('The page is not in view.').waitFor()
    await show(false)
    await page.getByLabel('Intensity').fill('100')
    await until(() => isOver(id), 'the job to be done')
    assert.equal((await job(id)).state, 'done')
    await verify(id)
    assert.deepEqual(errors, [])
    await page.context().close()
  })

  test('trains on private data: the key comes with the lease, and what lies in the browser is ciphertext', async () => {
    const { page, errors } = await open()
    await start(page, 'discreet')
    const id = await submit('secret', 'epochs: 5, batch: 16, round: 60s', { data: ', private: true' })
    await until(() => isOver(id), 'the job to be done')
    assert.equal((await job(id)).state, 'done')
    assert.deepEqual(errors, [])
    await page.context().close()
  })
})

const digits = (text: string) => text.replace(/\D/g, '')

/** The number under "Samples credited". */
const credited = (page: Page) =>
  page.locator('.stat', { hasText: 'Samples credited' }).locator('.stat-value').innerText()
