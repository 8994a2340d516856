import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type GateState, newGate, stepGate } from './gate.ts'
import { nextOpening } from './opening.ts'
import { REASONS } from './reasons.ts'
import type { OwnerSettings } from './settings.ts'
import { lent } from './simulation/lent.ts'
import type { Readings, Verdict } from './verdict.ts'

const GIB = 2 ** 30
const START = Date.UTC(2026, 0, 14, 12)
const settings = lent({ keepFreeBytes: GIB })
const quiet: Omit<Readings, 'at'> = {
  capacityCores: 4,
  othersCores: 0,
  ownCores: 0,
  freeMemoryBytes: 12 * GIB,
  totalMemoryBytes: 16 * GIB,
  ownMemoryBytes: 0,
}

/** A gate with a clock of its own. */
function gate(over: Partial<OwnerSettings> = {}) {
  const s = { ...settings, ...over }
  let state: GateState = newGate(START)
  let at = START
  return {
    get at() {
      return at
    },
    set(change: (state: GateState) => GateState) {
      state = change(state)
    },
    settings: s,
    /** Looks once, `ms` after the last time. */
    look(said: Partial<Readings> = {}, ms = 200): Verdict {
      at += ms
      const next = stepGate(state, { at, ...quiet, ...said }, s)
      state = next.state
      return next.verdict
    },
    /** Looks five times a second for a while; the last verdict. */
    run(ms: number, said: Partial<Readings> = {}): Verdict {
      let verdict = this.look(said)
      for (let done = 200; done < ms; done += 200) verdict = this.look(said)
      return verdict
    },
  }
}

test('an idle machine is lent after a second of looking', () => {
  const g = gate()
  assert.equal(g.look().pause?.reason, 'starting')
  assert.deepEqual(g.run(2_000), { cores: 4, memoryBytes: 8 * GIB })
})

test('heavy load pauses at the first look, and three seconds of calm end it', () => {
  const g = gate()
  g.run(2_000)
  const busy = g.look({ othersCores: 3.1 })
  assert.equal(busy.cores, 0)
  assert.equal(busy.pause?.reason, 'cpu-busy')
  assert.match(busy.pause!.sentence, /78 % of the CPU; it goes on 3 s after they are below 25 %/)
  g.run(5_000, { othersCores: 3 })
  const since = g.at
  assert.equal(g.run(2_800).cores, 0)
  assert.ok(g.run(2_000).cores > 3)
  assert.ok(g.at - since < 5_000)
  assert.equal(g.run(20_000).cores, 4)
})

test('load below the threshold is taken off what may be used, and given again later', () => {
  const g = gate()
  g.run(2_000)
  const beside = g.run(6_000, { othersCores: 0.8 })
  assert.ok(Math.abs(beside.cores - 3.2) < 0.15, `granted ${beside.cores} of 4 beside 0.8`)
  assert.equal(g.run(30_000).cores, 4)
  assert.equal(gate({ cores: 2 }).run(6_000, { othersCores: 0.8 }).cores, 2)
})

test('bursts of two seconds every ten change it six times a minute at most', () => {
  const g = gate()
  g.run(2_000)
  const changes: number[] = []
  let worked = true
  for (let i = 0; i < 5 * 600; i++) {
    const verdict = g.look({ othersCores: i % 50 < 10 ? 4 : 0 })
    if (verdict.cores > 0 !== worked) changes.push(g.at)
    worked = verdict.cores > 0
  }
  for (const at of changes) assert.ok(changes.filter((other) => other >= at && other < at + 60_000).length <= 6)
})

test('the first reason of a fixed order is told', () => {
  const order = REASONS.map(([reason]) => reason)
  assert.deepEqual(order, [
    'owner',
    'schedule',
    'data-cap',
    'battery',
    'metered',
    'temperature',
    'disk-low',
    'memory-low',
    'application',
    'user-active',
    'cpu-busy',
    'pressure',
    'starting',
  ])
  const all: Partial<Readings> = {
    othersCores: 4,
    idleMs: 0,
    application: 'game',
    freeMemoryBytes: 0,
    isDiskLow: true,
    temperatureC: 99,
    metered: true,
    onBattery: true,
    batteryShare: 0.5,
    monthBytes: 10,
  }
  const g = gate({
    inputIdleMs: 60_000,
    maxTemperatureC: 80,
    monthlyBytes: 10,
    schedule: [{ from: 0, to: 1 }],
  })
  g.set((state) => ({ ...state, hold: { since: START } }))
  const names: (readonly [string, Partial<Readings>, (() => void)?])[] = [
    ['owner', {}, () => g.set((state) => ({ ...state, hold: undefined }))],
    ['schedule', {}, () => (g.settings.schedule = [])],
    ['data-cap', { monthBytes: 0 }],
    ['battery', { onBattery: false }],
    ['metered', { metered: false }],
    ['temperature', { temperatureC: 20 }],
    ['disk-low', { isDiskLow: false }],
    ['memory-low', { freeMemoryBytes: 12 * GIB }],
    ['application', { application: undefined }],
    ['user-active', { idleMs: 1e6 }],
    ['cpu-busy', { othersCores: 0 }],
  ]
  let said = all
  for (const [reason, off, also] of names) {
    const { pause } = g.run(reason === 'application' ? 11_000 : 200, said)
    assert.equal(pause?.reason, reason)
    assert.ok(pause.sentence.endsWith('.') && pause.since <= g.at)
    said = { ...said, ...off }
    also?.()
  }
})

test('a pause says since when and until when', () => {
  const g = gate({ inputIdleMs: 60_000 })
  g.run(2_000, { idleMs: 100_000 })
  const { pause } = g.look({ idleMs: 0 })
  assert.equal(pause?.since, g.at)
  assert.ok(Math.abs(pause!.until! - (g.at + 60_000)) <= 1_000)
  assert.equal(g.look({ idleMs: 200 }).pause?.since, pause?.since)
})

test('limits hold in always too, the owner’s programs do not count there', () => {
  const g = gate({ when: 'always', maxTemperatureC: 80 })
  assert.equal(g.look({ othersCores: 4, idleMs: 0 }).cores, 4)
  assert.equal(g.look({ temperatureC: 81 }).pause?.reason, 'temperature')
  assert.equal(g.look({ temperatureC: 77 }).pause?.reason, 'temperature', 'five degrees cooler, not less')
  assert.equal(g.look({ temperatureC: 74 }).cores, 4)
})

test('battery: none of it unless allowed, then not below its share', () => {
  assert.equal(gate().run(2_000, { onBattery: true, batteryShare: 1 }).pause?.reason, 'battery')
  const g = gate({ onBattery: true, leastBatteryShare: 0.5 })
  assert.equal(g.run(2_000, { onBattery: true, batteryShare: 0.8 }).cores, 4)
  assert.equal(g.look({ onBattery: true, batteryShare: 0.49 }).pause?.reason, 'battery')
  assert.equal(g.look({ onBattery: true, batteryShare: 0.51 }).pause?.reason, 'battery')
  assert.equal(g.look({ onBattery: false, batteryShare: 0.51 }).cores, 4)
})

test('memory is taken back at once, given again after a while, and shortage is a pause', () => {
  const g = gate()
  g.run(2_000)
  const less = g.look({ ownMemoryBytes: 4 * GIB, freeMemoryBytes: 2 * GIB })
  assert.ok(less.cores > 0 && less.memoryBytes < 5 * GIB && less.memoryBytes > 4 * GIB)
  assert.ok(g.run(5_000).memoryBytes < 5 * GIB)
  assert.equal(g.run(10_000).memoryBytes, 8 * GIB)
  assert.equal(g.look({ freeMemoryBytes: 0.5 * GIB }).pause?.reason, 'memory-low')
  assert.equal(g.run(5_000).pause?.reason, 'memory-low')
  assert.equal(g.run(8_000).cores, 4)
})

test('waiting that is the contributor’s own is no pressure', () => {
  const g = gate()
  g.run(2_000)
  assert.ok(g.run(10_000, { othersCores: 0.7, ownCores: 3.3, pressure: 1 }).cores > 0)
  const pressed = g.run(4_000, { othersCores: 0.7, ownCores: 0.5, pressure: 0.9 })
  assert.equal(pressed.pause?.reason, 'pressure')
})

test('a machine that slept waits a few seconds; a clock that is set back lengthens nothing', () => {
  const g = gate()
  g.run(2_000)
  assert.equal(g.look({}, 3_600_000).pause?.reason, 'sleeping')
  assert.equal(g.run(6_000).cores, 4)
  g.look({ othersCores: 4 })
  const back = g.look({ othersCores: 0 }, -7_200_000)
  assert.equal(back.pause?.reason, 'cpu-busy')
  assert.equal(back.pause?.since, g.at)
  assert.equal(g.run(6_000).cores, 4)
})

test('a sensor that falls silent is believed for a while, nonsense is silence', () => {
  const g = gate({ maxTemperatureC: 80 })
  g.run(2_000, { temperatureC: 50 })
  assert.equal(g.look({ temperatureC: 90 }).pause?.reason, 'temperature')
  assert.equal(g.run(30_000, { temperatureC: Number.NaN }).pause?.reason, 'temperature')
  assert.equal(g.run(40_000).cores, 4)
  assert.equal(g.look({ othersCores: -1, capacityCores: Number.NaN, freeMemoryBytes: -5 }).cores, 4)
  const blind = gate().run(20_000, { othersCores: undefined })
  assert.match(blind.pause!.sentence, /cannot be read/)
})

test('the schedule opens by the clock on the wall, on days of 23 and 25 hours too', () => {
  const zone = process.env.TZ
  process.env.TZ = 'Europe/Berlin'
  try {
    const sundayMorning = [{ from: 6 * 1440 + 8 * 60, to: 6 * 1440 + 10 * 60 }]
    const night = (day: string): number => Date.parse(`${day}T22:00:00Z`)
    // 08:00 is 06:00 UTC in summer time, 07:00 UTC in winter time; the change is on the Sunday itself
    assert.equal(nextOpening(sundayMorning, night('2026-03-28')), Date.parse('2026-03-29T06:00:00Z'))
    assert.equal(nextOpening(sundayMorning, night('2026-10-24')), Date.parse('2026-10-25T07:00:00Z'))
    assert.equal(nextOpening([{ from: 5, to: 5 }], START), undefined)
  } finally {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  }
})

const odd = <T>(sensible: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 8, arbitrary: sensible }, fc.constantFrom(Number.NaN, -1, undefined, Number.POSITIVE_INFINITY))
const anyReadings = fc.record({
  step: fc.oneof({ weight: 8, arbitrary: fc.constant(200) }, fc.integer({ min: -1e7, max: 1e7 })),
  capacityCores: odd(fc.constantFrom(0.5, 2, 4)),
  othersCores: odd(fc.double({ min: 0, max: 5, noNaN: true })),
  ownCores: odd(fc.double({ min: 0, max: 4, noNaN: true })),
  pressure: odd(fc.double({ min: 0, max: 1, noNaN: true })),
  idleMs: odd(fc.integer({ min: 0, max: 200_000 })),
  onBattery: fc.constantFrom(true, false, undefined),
  batteryShare: odd(fc.double({ min: 0, max: 1, noNaN: true })),
  temperatureC: odd(fc.integer({ min: 20, max: 110 })),
  metered: fc.constantFrom(true, false, undefined),
  freeMemoryBytes: odd(fc.integer({ min: 0, max: 16 * GIB })),
  totalMemoryBytes: odd(fc.constant(16 * GIB)),
  ownMemoryBytes: odd(fc.integer({ min: 0, max: 8 * GIB })),
  application: fc.constantFrom('game', undefined, undefined),
  monthBytes: odd(fc.integer({ min: 0, max: 200 })),
  isDiskLow: fc.constantFrom(true, false, undefined, undefined),
})
const anySettings = fc.record({
  cores: fc.constantFrom(0.05, 0.25, 1, 4),
  when: fc.constantFrom('idle' as const, 'always' as const),
  pauseAtShare: fc.constantFrom(0, 0.25, 1),
  inputIdleMs: fc.constantFrom(0, 60_000),
  schedule: fc.constantFrom<OwnerSettings['schedule'][]>([], [{ from: 0, to: 5_000 }]),
  onBattery: fc.boolean(),
  leastBatteryShare: fc.constantFrom(0, 0.4),
  maxTemperatureC: fc.constantFrom(0, 80),
  onMetered: fc.boolean(),
  monthlyBytes: fc.constantFrom(0, 100),
  memoryBytes: fc.constantFrom(GIB, 8 * GIB),
})

test('for any readings: cores exactly when there is no pause, never above a limit', () => {
  fc.assert(
    fc.property(anySettings, fc.array(anyReadings, { maxLength: 60 }), (over, sequence) => {
      const g = gate(over)
      const s = g.settings
      for (const { step, ...said } of sequence) {
        const verdict = g.look(said as Partial<Readings>, step)
        assert.equal(verdict.cores > 0, verdict.pause === undefined)
        assert.ok(verdict.cores <= s.cores && verdict.memoryBytes <= s.memoryBytes && verdict.memoryBytes >= 0)
        if (verdict.pause) {
          // a clock that steps back by less than a second stands still
          assert.ok(verdict.pause.since <= g.at + 1_000)
          continue
        }
        if (said.capacityCores! > 0 && Number.isFinite(said.capacityCores))
          assert.ok(verdict.cores <= said.capacityCores!)
        assert.ok(!(said.onBattery && !s.onBattery), 'battery')
        assert.ok(!(said.onBattery && said.batteryShare! >= 0 && said.batteryShare! < s.leastBatteryShare), 'charge')
        assert.ok(
          !(s.maxTemperatureC > 0 && said.temperatureC! > s.maxTemperatureC && said.temperatureC! < 200),
          'heat',
        )
        assert.ok(!(said.metered && !s.onMetered), 'metered')
        assert.ok(!(s.monthlyBytes > 0 && said.monthBytes! >= s.monthlyBytes && said.monthBytes! < 1e9), 'month')
        assert.ok(said.application === undefined && said.isDiskLow !== true)
      }
    }),
    { numRuns: 300 },
  )
})
