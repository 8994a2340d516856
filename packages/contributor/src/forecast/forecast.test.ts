import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MachineViewSchema } from '@pingo/wire'
import { eveningGamer, noHabits, officeWorker, seededRandom } from '../testing/owners.ts'
import { emptyForecast, Forecast } from './forecast.ts'
import { ForecastFile, MAX_STATE_BYTES } from './forecast-file.ts'

const MINUTE = 60_000
const WEEK = 10_080
const MONDAY = Date.UTC(2026, 0, 5)
const hourOfWeek = (at: number) => Math.floor((at - MONDAY) / 3_600_000) % 168
const folders: string[] = []
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))))

function watch(trace: Uint8Array, forecast = new Forecast(emptyForecast(), hourOfWeek), from = 0): Forecast {
  for (const [minute, available] of trace.subarray(from).entries())
    forecast.observe(MONDAY + (from + minute) * MINUTE, available === 1)
  return forecast
}

test('it knows an office worker’s night from the morning after some weeks, and says so', () => {
  const trace = officeWorker(4 * WEEK, seededRandom(3))
  trace.fill(1, 4 * WEEK - 300) // the last night is quiet
  const forecast = watch(trace)
  const night = MONDAY + (4 * WEEK - 1) * MINUTE
  const [hour, tillNine, tillNoon] = forecast.survival(night, [60, 9 * 60 - 60, 12 * 60])
  assert.ok(hour! > 0.97, `${hour}`)
  assert.ok(tillNine! > 0.6 && tillNoon! < 0.25, `${tillNine} ${tillNoon}`)
})

for (const [name, owner, gain] of [
  ['office worker', officeWorker, 0.01],
  ['evening gamer', eveningGamer, 0.003],
  ['no habits', noHabits, -0.005],
] as const)
  test(`forecasts made from the past alone beat the base rate where there are habits: ${name}`, () => {
    const score = watch(owner(6 * WEEK, seededRandom(11)))!.score()!
    assert.ok(
      score.brierOfBaseRate - score.brier > gain,
      `Brier ${score.brier}, of the base rate ${score.brierOfBaseRate}`,
    )
    assert.ok(score.calibrationError < 0.05, `${score.calibrationError}`)
    assert.ok(score.calibration.every(({ from, to, said }) => said >= from - 1e-9 && said <= to + 1e-9))
  })

test('survival falls with time, is 0 for who is not available, and the same for the same past', () => {
  const trace = eveningGamer(2 * WEEK, seededRandom(5))
  const [a, b] = [watch(trace), watch(trace)]
  assert.deepEqual(a.state, b.state)
  const at = MONDAY + (2 * WEEK - 1) * MINUTE
  const minutes = [0, 1, 2.5, 5, 15, 60, 600, 1e6]
  const survival = a.survival(at, minutes)
  if (trace.at(-1) === 1) {
    assert.equal(survival[0], 1)
    for (let i = 1; i < survival.length; i++) assert.ok(survival[i]! <= survival[i - 1]! && survival[i]! > 0)
  }
  a.observe(at + MINUTE, false)
  assert.deepEqual(a.survival(at + MINUTE, [1, 15]), [0, 0])
  a.observe(at + 2 * MINUTE, true)
  assert.ok(a.survival(at + 2 * MINUTE, [15])[0]! > 0)
  assert.deepEqual(a.survival(at + 60 * MINUTE, [1]), [0], 'what was seen long ago is no forecast')
})

test('a machine that sleeps was not available; a clock that is set back harms nothing', () => {
  const forecast = new Forecast(emptyForecast(), hourOfWeek)
  let at = MONDAY
  for (let night = 0; night < 40; night++, at += 22 * 60 * MINUTE)
    for (let minute = 0; minute < 120; minute++, at += MINUTE) forecast.observe(at, true)
  const score = forecast.score()!
  assert.ok(
    score.calibration.some(({ came }) => came < 1),
    'the last quarter of each two hours did not survive',
  )
  assert.ok(forecast.observedHours > 79 && forecast.observedHours < 81)
  const before = structuredClone(forecast.state)
  forecast.observe(at - 22 * 60 * MINUTE - 10 * MINUTE, false)
  assert.deepEqual(forecast.state, before)
  forecast.observe(MONDAY, true)
  forecast.observe(MONDAY + MINUTE, true)
  assert.ok(forecast.survival(MONDAY + MINUTE, [5])[0]! > 0)
})

test('what was learnt is kept, small, and read again; a damaged file is learnt anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-forecast-'))
  folders.push(folder)
  const file = join(folder, 'forecast.json')
  const failures: unknown[] = []
  const open = (now: number) => ForecastFile.open(file, { now, hourOfWeek, onFailure: (error) => failures.push(error) })
  const kept = await open(MONDAY)
  const trace = officeWorker(9 * WEEK, seededRandom(2))
  trace[9 * WEEK - 1] = 1
  for (const [minute, available] of trace.entries()) {
    const at = MONDAY + minute * MINUTE
    assert.ok(kept.observe(at, available === 1))
    assert.ok(!kept.observe(at + 1000, available === 0))
  }
  await kept.save()
  assert.ok((await stat(file)).size < MAX_STATE_BYTES / 2)
  assert.deepEqual(await readdir(folder), ['forecast.json'])
  const at = MONDAY + (9 * WEEK - 1) * MINUTE
  const again = await open(at)
  const [view, before] = [again.view(at), kept.view(at)]
  MachineViewSchema.shape.forecast.parse(view)
  assert.deepEqual(view.survival, before.survival)
  assert.ok(Math.abs(view.brier! - before.brier!) < 1e-5)
  assert.deepEqual(failures, [])
  for (const text of ['{"version":1}', 'x', (await readFile(file, 'utf8')).replace('"version":1', '"version":2')]) {
    await writeFile(file, text)
    const fresh = await open(at)
    assert.equal(fresh.view(at).observedHours, 0)
  }
  assert.equal(failures.length, 3)
})
