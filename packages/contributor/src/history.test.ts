import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { LeaseRecord } from '@pingo/wire'
import { EarningsSchema } from '@pingo/wire'
import { History, MAX_DAYS, MAX_JOBS } from './history.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))))
const newFile = async () => {
  const path = await mkdtemp(join(tmpdir(), 'pingo-history-'))
  folders.push(path)
  return join(path, 'history.db')
}

const DAY_MS = 86_400_000
const NOON = Date.UTC(2026, 10, 25, 12)
const lease = (n: number, more: Partial<LeaseRecord> = {}): LeaseRecord => ({
  lease: `job-${n}.1`,
  job: 'job',
  jobName: 'digits',
  fog: '12D3fog',
  round: 1,
  slice: 0,
  startedAt: NOON + n,
  endedAt: NOON + n + 1000,
  steps: 10,
  samples: 640,
  cpuMs: 900,
  sentBytes: 1234,
  outcome: 'accepted',
  ...more,
})

test('a lease counts once, however often and in whatever order it is told of', async () => {
  const history = History.open(await newFile())
  try {
    history.record(lease(1))
    history.record(lease(1))
    history.record(lease(1, { outcome: 'failed' }))
    history.included('job-1.1', 640)
    history.included('job-1.1', 640)
    // the word of the commit may come before the answer to the update
    history.included('job-2.1', 320)
    assert.equal(history.list().length, 1)
    history.record(lease(2))
    history.record(lease(3, { outcome: 'failed', why: 'ENGINE_EXITED' }))
    assert.deepEqual(history.credit(), { leases: 2, samplesAccepted: 1280, samplesIncluded: 960, cpuSeconds: 2.7 })
    assert.deepEqual(
      history.list().map(({ lease, outcome }) => [lease, outcome]),
      [
        ['job-3.1', 'failed'],
        ['job-2.1', 'included'],
        ['job-1.1', 'included'],
      ],
    )
    // an update whose answer was lost is counted when its round commits
    history.included('job-3.1', 100)
    assert.deepEqual(history.credit(), { leases: 3, samplesAccepted: 1920, samplesIncluded: 1060, cpuSeconds: 2.7 })
  } finally {
    history.close()
  }
})

test('earnings are the sums by day and by job, and of all', async () => {
  const history = History.open(await newFile())
  try {
    history.record(lease(1, { outcome: 'included' }))
    history.record(lease(2, { outcome: 'included', endedAt: NOON + DAY_MS, job: 'other', jobName: undefined }))
    history.record(lease(3, { outcome: 'given-back', samples: 0, cpuMs: 100 }))
    const earnings = history.earnings()
    EarningsSchema.parse(earnings)
    assert.deepEqual(earnings, {
      days: [
        { day: '2026-11-25', leases: 1, samplesIncluded: 640, cpuSeconds: 1 },
        { day: '2026-11-26', leases: 1, samplesIncluded: 640, cpuSeconds: 0.9 },
      ],
      jobs: [
        { job: 'other', fog: '12D3fog', leases: 1, samplesIncluded: 640, cpuSeconds: 0.9, lastAt: NOON + DAY_MS },
        {
          job: 'job',
          jobName: 'digits',
          fog: '12D3fog',
          leases: 1,
          samplesIncluded: 640,
          cpuSeconds: 1,
          lastAt: NOON + 1003,
        },
      ],
      total: { leases: 2, samplesIncluded: 1280, cpuSeconds: 1.9 },
    })
  } finally {
    history.close()
  }
})

test('leases are read in pages; old ones, old days and old jobs go, the sums of all stay', async () => {
  const file = await newFile()
  const history = History.open(file, { maxLeases: 20 })
  try {
    for (let n = 0; n < 50; n++) history.record(lease(n))
    const first = history.list({ limit: 15 })
    const second = history.list({ limit: 15, before: first.at(-1)!.lease })
    assert.deepEqual(
      [...first, ...second].map(({ lease }) => lease),
      Array.from({ length: 20 }, (_, i) => `job-${49 - i}.1`),
    )
    assert.equal(history.credit().leases, 50)
    for (let n = 100; n < 103 + MAX_JOBS; n++) history.record(lease(n, { job: `job-${n}`, endedAt: NOON + n }))
    for (let n = 1; n <= MAX_DAYS; n++) history.record(lease(5000 + n, { endedAt: NOON + n * DAY_MS }))
    const { days, jobs, total } = history.earnings()
    assert.equal(jobs.length, MAX_JOBS)
    assert.equal(days.length, MAX_DAYS)
    assert.equal(days[0]!.day, '2026-11-26')
    assert.equal(total.leases, 50 + 3 + MAX_JOBS + MAX_DAYS)
  } finally {
    history.close()
  }
})

test('what was recorded is there after kill -9, a damaged file is put aside', async () => {
  const file = await newFile()
  const program = `
    import { History } from ${JSON.stringify(new URL('./history.ts', import.meta.url).href)}
    const history = History.open(process.argv[1])
    for (let n = 0; ; n++) {
      history.record({ ...${JSON.stringify(lease(0))}, lease: 'l' + n })
      if (n % 10 === 9) await new Promise((done) => process.stdout.write(n + 1 + '\\n', done))
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let told = 0
  for await (const line of child.stdout) {
    told = Number(String(line).trim().split('\n').at(-1))
    if (told >= 50) break
  }
  child.kill('SIGKILL')
  if (child.signalCode === null) await once(child, 'exit')
  const history = History.open(file)
  assert.ok(history.credit().leases >= told)
  assert.equal(history.list({ limit: 1000 }).length, Math.min(1000, history.credit().leases))
  history.close()

  for (const suffix of ['-wal', '-shm']) await rm(file + suffix, { force: true })
  await writeFile(file, Buffer.alloc(8192, 'not a database '))
  const fresh = History.open(file)
  fresh.record(lease(1))
  assert.equal(fresh.list().length, 1)
  fresh.close()
  assert.ok(existsSync(`${file}.damaged`))
})

test('words of commits for leases that were never here push none out of the list', async () => {
  const history = History.open(await newFile(), { maxLeases: 20 })
  try {
    for (let n = 0; n < 10; n++) history.record(lease(n))
    for (let n = 0; n < 500; n++) history.included(`strange-${n}`, 1_000_000)
    assert.equal(history.list().length, 10)
    assert.equal(history.credit().samplesIncluded, 0)
  } finally {
    history.close()
  }
})

test('what cannot be written is said, and fails nobody', async () => {
  const failures: string[] = []
  const history = History.open(await newFile(), { onFailure: ({ code }) => failures.push(code) })
  history.close()
  history.record(lease(1))
  assert.deepEqual(failures, ['HISTORY_NOT_WRITTEN'])
})
