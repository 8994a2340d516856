import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { launchChromium } from '../../../packages/engine/src/testing/browser/chromium.ts'
import { POLICY, TestGateway } from './gateway.ts'
import { buildPages, type Pages } from './pages.ts'
import { record } from './recording.ts'
import { Stage } from './stage.ts'

/** Longest wait for something to show. A deadline for a failing test, not a measure. */
const SHOWN_MS = 20_000
const MAX_BUNDLE_BYTES = 400_000
/** Of the browser's measure, by which 0.1 is good. */
const MAX_LAYOUT_SHIFT = 0.02

// Mostly waiting for polls: three visits at a time share the wait.
describe('the page in a browser', { concurrency: 3 }, () => {
  let pages: Pages
  let browser: Browser

  before(async () => {
    pages = await buildPages()
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    await pages?.remove()
  })

  /** A gateway with a stage, and a page on it; afterwards both are gone and the console was clean. */
  async function visit(
    {
      setup = () => {},
      hash = '',
      allow = /^$/,
      ...options
    }: BrowserContextOptions & { setup?: (stage: Stage) => void; hash?: string; allow?: RegExp },
    look: (seen: {
      page: Page
      stage: Stage
      restart: () => Promise<void>
      gateway: () => TestGateway
      away: () => Promise<void>
    }) => Promise<void>,
  ): Promise<void> {
    const stage = new Stage(record(1))
    setup(stage)
    let startedAt = stage.now - 7_200_000
    let gateway = new TestGateway(stage, pages.folder, startedAt)
    const port = await gateway.listen()
    const context = await browser.newContext({
      viewport: { width: 1280, height: 860 },
      colorScheme: 'light',
      ...options,
    })
    context.setDefaultTimeout(SHOWN_MS)
    const complaints: string[] = []
    try {
      const page = await context.newPage()
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(error.message))
      await page.goto(`http://127.0.0.1:${port}/${hash}`)
      await look({
        page,
        stage,
        gateway: () => gateway,
        away: () => gateway.close(),
        restart: async () => {
          startedAt += 7_200_000
          gateway = new TestGateway(stage, pages.folder, startedAt)
          await gateway.listen(port)
        },
      })
    } finally {
      await context.close()
      await gateway.close()
    }
    assert.deepEqual(
      complaints.filter((text) => !allow.test(text)),
      [],
      'the console is clean',
    )
  }

  /** Waits until the page's text has `text`; spaces of any kind count as one. */
  async function shows(page: Page, text: string, within = 'body'): Promise<void> {
    try {
      await page.waitForFunction(
        ([selector, wanted]) =>
          // what is seen counts, not what is in the tree
          (document.querySelector(selector!) as HTMLElement | null)?.innerText.replace(/\s+/g, ' ').includes(wanted!),
        [within, text],
        { timeout: SHOWN_MS },
      )
    } catch {
      const body = await page.locator('body').ariaSnapshot()
      assert.fail(`'${text}' is not shown within ${within}:\n${body}`)
    }
  }

  const running = (stage: Stage) => {
    stage.start()
    stage.advance(9)
    stage.progress(3_100)
  }
  const jobHash = `#/jobs/${record(1).job.id}`
  const overflow = (page: Page) =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  const background = (page: Page) =>
    page.evaluate(() => getComputedStyle(document.querySelector('.panel')!).backgroundColor)

  test('the bundle is small', () => {
    assert.ok(pages.bytes <= MAX_BUNDLE_BYTES, `${pages.bytes} bytes`)
  })

  test('the overview shows the network, its jobs, machines and data, under a strict content policy', () =>
    visit({ setup: running }, async ({ page }) => {
      const response = await page.reload()
      assert.equal(response?.headers()['content-security-policy'], POLICY)
      await shows(page, 'Contributors 4 3 training', '.stats')
      await shows(page, 'Cores lent 8.5', '.stats')
      await shows(page, 'Trained in total 490 k samples', '.stats')
      await shows(page, 'mnist-cnn 2026', '.job-list')
      await shows(page, '37.5 %', '.job-list')
      await shows(page, 'Accuracy 93.95 %', '.job-list')
      await shows(page, 'MAE 0.3468', '.job-list')
      await shows(page, 'mara-laptop paused', 'main')
      await shows(page, 'npx pingo contribute --fog /ip4/192.168.1.20/tcp/4601/p2p/12D3KooW')
      await shows(page, 'mnist train image 60 000 44.9 MiB')
      await shows(page, 'Live', 'header')
      assert.equal(
        await page.getByRole('progressbar', { name: 'Progress of mnist-cnn' }).getAttribute('aria-valuenow'),
        '37',
      )
    }))

  test('numbers move without a reload', () =>
    visit({ setup: running }, async ({ page, stage }) => {
      await shows(page, '37.5 %', '.job-list')
      stage.advance(3)
      await shows(page, '50.0 %', '.job-list')
      await shows(page, 'Trained in total 512 k samples', '.stats')
    }))

  test('a job is followed live: progress in flight, rounds, curves, end and downloads', () =>
    visit({ hash: jobHash }, async ({ page, stage }) => {
      await shows(page, 'Why it waits. It waits for a contributor with 512 MiB')
      await shows(page, 'lower resources.memory to 384 MiB')
      await shows(page, 'The first point comes with the first committed round.')
      await page.waitForFunction(() => document.title.startsWith('queued'))

      stage.start()
      stage.advance(5)
      stage.progress(3_100)
      await shows(page, 'It runs on all 4 contributors that fit.')
      await shows(page, '37 500 of 180 000 samples, 3.1 k more in flight')
      await shows(page, 'lab-10: came after the round had closed', '.table')
      await shows(page, 'Warning: Round 5: an update came after the round had closed', '.log')
      const table = page.getByRole('table', { name: 'Rounds' })
      assert.equal(await table.getByRole('row').count(), 6)
      const bar = await table.getByRole('img').first().getAttribute('aria-label')
      assert.match(bar ?? '', /attic-nuc \d+\s%, lab-2 \d+\s%, mara-laptop \d+\s%/)
      await shows(page, 'attic-nuc', '.shares')
      const chart = page.getByRole('img', { name: /^Accuracy by round: 5 points, training 87.01/ })
      await chart.waitFor()
      const painted = await chart.locator('canvas').evaluate((element) => {
        const canvas = element as HTMLCanvasElement
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
        return data.some((value) => value !== 0)
      })
      assert.ok(painted, 'the curve is drawn')

      // From here on the list of jobs stands still: what moves on the page comes by its stream.
      const frozen = JSON.stringify({ jobs: stage.jobs() })
      await page.route('**/v1/jobs', (route) => route.fulfill({ contentType: 'application/json', body: frozen }))
      stage.advance(19)
      await shows(page, 'Test accuracy 98.38 %', 'dl[aria-label="Numbers of the job"]')
      stage.finish()
      await shows(page, 'Done after 1 min 37 s')
      await shows(page, 'Accuracy 98.38 % Top-5 99.84 % F1 (macro) 0.9828', '.measured')
      await shows(page, 'Loss cross entropy, smoothing 0.1 Optimiser AdamW, learning rate 0.001', '.recipe')
      await shows(page, 'Batch 64, in 4 parts of 16', '.recipe')
      await shows(page, 'model.onnx 1.61 MiB', '.downloads')
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: /model\.onnx/ }).click(),
      ])
      assert.equal(download.suggestedFilename(), 'model.onnx')
      await download.delete()
    }))

  test('a job whose metric is its loss has one chart and one column of it, and nobody speaks of accuracy', () =>
    visit(
      {
        setup: (stage) => {
          const { job, rounds } = stage.recording
          Object.assign(job, { metricName: 'loss', lossName: 'output', training: undefined })
          for (const round of rounds) {
            round.metric = round.loss
            if (round.testLoss !== undefined)
              Object.assign(round, { testMetric: round.testLoss, testMetrics: undefined })
          }
          running(stage)
        },
        hash: jobHash,
      },
      async ({ page, stage }) => {
        await shows(page, "Loss (the model's own)", '.chart')
        await shows(page, 'Training loss 0.2643 last round Test loss 0.3373 on test data', '.stats')
        assert.equal(await page.locator('.chart').count(), 1)
        assert.deepEqual(
          (await page.getByRole('columnheader').allInnerTexts()).filter((text) => /loss|test/i.test(text)),
          ['Loss', 'On test'],
        )
        stage.advance(15)
        stage.finish()
        await shows(page, 'model.onnx 1.61 MiB', '.downloads')
        assert.equal(await page.locator('.measured').count(), 0)
        assert.doesNotMatch(await page.locator('main').innerText(), /accuracy/i)
      },
    ))

  test('curves run over samples or time, and the cursor reads their values', () =>
    visit({ setup: running, hash: jobHash }, async ({ page }) => {
      await page.getByRole('radio', { name: 'Time' }).check()
      const chart = page.locator('.chart').first()
      await chart.scrollIntoViewIfNeeded()
      await chart.locator('.u-over').hover({ position: { x: 2, y: 60 } })
      await shows(page, '0:04 training 1.3641', '.chart')
      await page.mouse.move(0, 0)
      await shows(page, 'training 0.2643 test 0.3373', '.chart')
    }))

  test('the storage page shows what the node keeps, how it is, and with whom', () =>
    visit({ setup: running }, async ({ page, stage }) => {
      await page.getByRole('link', { name: 'Storage' }).click()
      await shows(page, 'Disk 61.4 GiB of 120 GiB · 85 % leased', '.stats')
      await shows(page, 'Audits passed 4 112 1 failed · 6 unanswered', '.stats')
      await shows(page, 'whole 1 904 1 shard missing 212 2 shards missing 31 3 shards missing 4', '.health')
      await shows(page, 'fog-3.example.org:7070 active – 198.51.3 23 ms ejected 91.2 %', 'main')
      await shows(page, 'private 83.9 MiB 10 + 6 shards 9 14 of 16', 'main')
      await shows(page, '241 roots told in the distributed hash table', 'main')
      assert.equal(await page.title(), 'Storage · PinGo')
      assert.equal(await page.getByRole('link', { name: 'Storage' }).getAttribute('aria-current'), 'page')
      await page.waitForFunction(() => document.querySelector('.sparkline polyline') !== null)
      stage.isLeaving = true
      await shows(page, 'This fog node leaves: 812 shards of 31 objects still to be moved', '[role="status"].banner')
      await page.getByRole('link', { name: 'Network', exact: true }).click()
      await shows(page, 'mnist-cnn', '.job-list')
    }))

  test('a fog node without others says how one joins', () =>
    visit({ setup: (stage) => (stage.populated = false), hash: '#/storage' }, async ({ page }) => {
      await shows(page, 'No other fog node yet')
      await shows(page, 'npx pingo fog --peer http://127.0.0.1:')
      await shows(page, 'Nothing checked yet')
    }))

  for (const width of [360, 820, 1280])
    test(`nothing sticks out sideways at ${width} px on the storage page`, () =>
      visit({ setup: running, hash: '#/storage', viewport: { width, height: 740 } }, async ({ page }) => {
        await shows(page, 'fog-3.example.org', 'main')
        assert.equal(await overflow(page), 0)
      }))

  test('a theme is chosen, remembered over a reload, and given back to the system', () =>
    visit({ setup: running }, async ({ page }) => {
      await page.locator('.job-list').waitFor()
      const light = await background(page)
      await page.getByRole('radio', { name: 'Dark' }).check()
      const dark = await background(page)
      assert.notEqual(dark, light)
      await page.reload()
      await page.locator('.panel').first().waitFor()
      assert.equal(await background(page), dark)
      assert.equal(await page.getByRole('radio', { name: 'Dark' }).isChecked(), true)
      await page.getByRole('radio', { name: 'As the system' }).check()
      assert.equal(await background(page), light)
      await page.emulateMedia({ colorScheme: 'dark' })
      assert.equal(await background(page), dark)
    }))

  for (const [width, hash] of [
    [360, ''],
    [360, jobHash],
    [820, jobHash],
    [1920, ''],
  ] as const)
    test(`nothing sticks out sideways at ${width} px on ${hash === '' ? 'the overview' : "a job's page"}`, () =>
      visit({ setup: running, hash, viewport: { width, height: 740 } }, async ({ page }) => {
        await shows(page, 'mnist-cnn', 'main')
        await page
          .locator(hash === '' ? '.table' : '.shares')
          .first()
          .waitFor()
        assert.equal(await overflow(page), 0)
        const gap = await page.evaluate(
          () =>
            document.querySelector('.connection')!.getBoundingClientRect().left -
            document.querySelector('.header-fog .copy')!.getBoundingClientRect().right,
        )
        assert.ok(gap >= 0, `the header's parts overlap by ${-gap} px`)
      }))

  test('a fog node on which nothing happened says how to begin', () =>
    visit(
      { setup: (stage) => (stage.populated = false), permissions: ['clipboard-read', 'clipboard-write'] },
      async ({ page }) => {
        await shows(page, 'No job yet')
        await shows(page, 'No contributor yet')
        await page.getByRole('button', { name: 'Copy the command that submits a job' }).click()
        await shows(page, 'Copied')
        assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'npx pingo train job.yaml')
      },
    ))

  test('it can be used by keyboard alone', () =>
    visit({ setup: running }, async ({ page }) => {
      await page.locator('.job-row').first().waitFor()
      await page.keyboard.press('Tab')
      assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the content')
      await page.keyboard.press('Enter')
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await shows(page, '67 500 of 180 000 samples')
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'MAIN')
    }))

  test('a failed job says why, and promises no curve', () =>
    visit({ setup: running, hash: '#/jobs/job-tiny-shakespeare-01' }, async ({ page }) => {
      await shows(page, 'Why it failed. The loss became infinite in round 3. Lower the learning rate and submit again.')
      await shows(page, 'None was committed.')
      assert.equal(await page.locator('.chart').count(), 0)
    }))

  test('a job that is not there is said to be not there', () =>
    visit({ hash: '#/jobs/nobody', allow: /status of 404/ }, ({ page }) =>
      shows(page, 'This fog node has no such job'),
    ))

  for (const [what, hash, last] of [
    ['the overview', '', 'Datasets'],
    ["a job's page", jobHash, 'Content addresses'],
  ] as const)
    test(`what loads late moves nothing on ${what}`, () =>
      visit({ setup: running, hash }, async ({ page }) => {
        await page.addInitScript(() => {
          const state = window as unknown as { shift: number }
          state.shift = 0
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) state.shift += (entry as unknown as { value: number }).value
          }).observe({ type: 'layout-shift', buffered: true })
        })
        await page.reload()
        await shows(page, last)
        const shift = await page.evaluate(() => (window as unknown as { shift: number }).shift)
        assert.ok(shift < MAX_LAYOUT_SHIFT, `cumulative layout shift ${shift}`)
      }))

  test('it survives a restart of the fog node, says so, and catches up by itself', () =>
    visit(
      {
        setup: running,
        hash: jobHash,
        allow: /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED/,
      },
      async ({ page, stage, away, restart, gateway }) => {
        await shows(page, '67 500 of 180 000 samples')
        await away()
        await shows(page, 'No answer from the fog node since')
        await shows(page, 'Offline', 'header')
        await shows(page, '67 500 of 180 000 samples')
        stage.advance(2)
        await restart()
        await shows(page, 'The fog node was restarted')
        await shows(page, 'Live', 'header')
        await shows(page, '82 500 of 180 000 samples')
        assert.equal(await page.getByRole('table', { name: 'Rounds' }).getByRole('row').count(), 12)
        assert.ok(gateway().resumedFrom.length > 0, 'the stream was opened again')
        stage.advance(1)
        await shows(page, '90 000 of 180 000 samples')
        await page.getByRole('button', { name: 'Close this notice' }).click()
        await page.locator('.toast').waitFor({ state: 'detached' })
      },
    ))

  test('a hidden tab asks nothing, and is up to date when it is looked at again', () =>
    visit({ setup: running }, async ({ page, stage, gateway }) => {
      await shows(page, '37.5 %', '.job-list')
      const setHidden = (hidden: boolean) =>
        page.evaluate((value) => {
          Object.defineProperty(document, 'hidden', { configurable: true, get: () => value })
          document.dispatchEvent(new Event('visibilitychange'))
        }, hidden)
      await setHidden(true)
      // Whatever was under way when the tab was hidden has ended once the page itself has answered two questions.
      await page.evaluate(() => fetch('/v1/network').then((response) => response.text()))
      const asked = gateway().hits.get('/v1/jobs')
      stage.advance(3)
      await page.waitForTimeout(2_000)
      assert.equal(gateway().hits.get('/v1/jobs'), asked)
      await setHidden(false)
      await shows(page, '50.0 %', '.job-list')
    }))
})
