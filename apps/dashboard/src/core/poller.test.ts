import assert from 'node:assert/strict'
import { test } from 'node:test'
import { POLL_MS, RETRY_MS, startPoller } from './poller.ts'

/** A page with timers that fire by hand. */
function stagePage() {
  const timers = new Map<number, { action: () => void; ms: number }>()
  let nextTimer = 0
  let visibility = () => {}
  let outcome: () => Promise<void> = async () => {}
  const page = {
    hidden: false,
    polls: 0,
    signal: undefined as AbortSignal | undefined,
    answer(next: () => Promise<void>) {
      outcome = next
    },
    /** The waits that are set. */
    get waits() {
      return [...timers.values()].map((timer) => timer.ms)
    },
    async fire() {
      const [id, timer] = [...timers][0] ?? assert.fail('no timer is set')
      timers.delete(id)
      timer.action()
      await settled()
    },
    async show(shown: boolean) {
      page.hidden = !shown
      visibility()
      await settled()
    },
    start: () =>
      startPoller({
        poll: (signal) => {
          page.polls++
          page.signal = signal
          return outcome()
        },
        hidden: () => page.hidden,
        onVisibility: (listener) => {
          visibility = listener
          return () => {
            visibility = () => {}
          }
        },
        setTimer: (action, ms) => {
          const id = nextTimer++
          timers.set(id, { action, ms })
          return () => timers.delete(id)
        },
      }),
  }
  return page
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

test('polls at once, then each interval', async () => {
  const page = stagePage()
  page.start()
  await settled()
  assert.equal(page.polls, 1)
  assert.deepEqual(page.waits, [POLL_MS])
  await page.fire()
  assert.equal(page.polls, 2)
  assert.deepEqual(page.waits, [POLL_MS])
})

test('failures are retried quickly, then more calmly, and forgotten after a success', async () => {
  const page = stagePage()
  page.answer(() => Promise.reject(new Error('gone')))
  page.start()
  await settled()
  const waits = [page.waits[0]]
  for (let i = 0; i < 4; i++) {
    await page.fire()
    waits.push(page.waits[0])
  }
  assert.deepEqual(waits, [...RETRY_MS, RETRY_MS.at(-1)])
  page.answer(async () => {})
  await page.fire()
  assert.deepEqual(page.waits, [POLL_MS])
})

test('a hidden page asks nothing; shown again it asks at once', async () => {
  const page = stagePage()
  page.start()
  await settled()
  await page.show(false)
  assert.deepEqual(page.waits, [])
  await page.show(true)
  assert.equal(page.polls, 2)
  assert.deepEqual(page.waits, [POLL_MS])
})

test('never two polls at a time, and one timer at most', async () => {
  const page = stagePage()
  let answer = () => {}
  page.answer(() => new Promise((resolve) => (answer = resolve)))
  page.start()
  await page.show(false)
  await page.show(true)
  await page.show(true)
  assert.equal(page.polls, 1)
  answer()
  await settled()
  await page.show(true)
  assert.equal(page.polls, 2)
  assert.deepEqual(page.waits, [])
  answer()
  await settled()
  assert.deepEqual(page.waits, [POLL_MS])
})

test('stopping aborts the poll under way and sets no other', async () => {
  const page = stagePage()
  let answer = () => {}
  page.answer(() => new Promise((resolve) => (answer = resolve)))
  const stop = page.start()
  stop()
  assert.equal(page.signal?.aborted, true)
  answer()
  await settled()
  assert.deepEqual(page.waits, [])
})
