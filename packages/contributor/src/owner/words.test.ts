import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import fc from 'fast-check'
import {
  parsePercent,
  parseRate,
  parseSize,
  parseTime,
  printPercent,
  printRate,
  printSize,
  printTime,
} from './quantities.ts'
import { parseSchedule, printSchedule, weekMinute } from './schedule.ts'
import { type OwnerSettings, OwnerSettingsSchema } from './settings.ts'
import {
  defaultSettings,
  type Machine,
  printSettings,
  readAssignment,
  readWords,
  resolveSettings,
  wordText,
} from './words.ts'

const GIB = 2 ** 30
const machine: Machine = {
  name: 'study',
  cores: 8,
  memoryBytes: 16 * GIB,
  freeMemoryBytes: 10 * GIB,
  freeDiskBytes: 100 * GIB,
}

test('quantities are read as people write them, and printed so that they are read back', () => {
  for (const [text, bytes] of [
    ['2Gi', 2 * GIB],
    ['2GiB', 2 * GIB],
    ['20GB', 20e9],
    ['20 GB', 20e9],
    ['1.5M', 1.5e6],
    ['4096', 4096],
  ] as const)
    assert.equal(parseSize(text), bytes, text)
  for (const wrong of ['', 'lots', '-1G', '1e3', '2 Gi B', 'Gi', '99999999999999999Ti'])
    assert.equal(parseSize(wrong), undefined, wrong)
  assert.equal(parseRate('2MB/s'), 2e6)
  assert.equal(parseRate('16Mbit/s'), 2e6)
  assert.equal(parseRate('16Mbps'), 2e6)
  assert.equal(parseRate('2MB'), undefined)
  assert.deepEqual(['3min', '3m', '90s', '1.5h'].map(parseTime), [180_000, 180_000, 90_000, 5_400_000])
  assert.deepEqual(['25%', '12.5 %', '0.25', '25'].map(parsePercent), [0.25, 0.125, undefined, undefined])

  fc.assert(fc.property(fc.nat(2 ** 50), (n) => parseSize(printSize(n)) === n))
  fc.assert(fc.property(fc.nat(2 ** 40), (n) => parseRate(printRate(n)) === n))
  fc.assert(fc.property(fc.nat(1e12), (n) => parseTime(printTime(n)) === n))
  fc.assert(fc.property(fc.nat(1_000_000), (n) => parsePercent(printPercent(n / 1e6)) === n / 1e6))
})

test('a schedule: nights belong to the day they begin on, the week is round', () => {
  const hours = (text: string) => parseSchedule(text)?.map(({ from, to }) => [from / 60, to / 60])
  assert.deepEqual(hours('always'), [])
  assert.deepEqual(hours('mon-sun'), [], 'a whole week is always')
  assert.deepEqual(hours('sat-sun'), [[120, 168]])
  assert.deepEqual(hours('22:00-06:00')?.length, 8, 'each night, that of Sunday in two parts')
  assert.deepEqual(hours('fri 18:00-08:00'), [[114, 128]])
  assert.deepEqual(hours('sun 18:00-08:00'), [
    [0, 8],
    [162, 168],
  ])
  assert.deepEqual(hours('Friday-Monday 09:00-10:00')?.length, 4)
  assert.deepEqual(hours('mon 08:00-24:00, tue 00:00-02:00'), [[8, 26]])
  for (const wrong of [
    '',
    'mon-',
    'moon',
    'mon 25:00-26:00',
    'mon 08:00',
    'mon 08:60-09:00',
    'mon 08:00-08:00',
    'mon,,tue',
    'm',
  ])
    assert.equal(parseSchedule(wrong), undefined, wrong)
  assert.equal(
    printSchedule(parseSchedule('mon-fri 18:00-08:00, sat-sun')!),
    'mon-thu 18:00-08:00, fri 18:00-24:00, sat-sun',
  )
  assert.equal(printSchedule(parseSchedule('daily 22:00-06:00')!), 'mon-sun 22:00-06:00')

  const day = fc.constantFrom('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
  const clock = fc
    .nat(1439)
    .map((m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`)
  const part = fc.tuple(day, day, fc.option(fc.tuple(clock, clock).filter(([a, b]) => a !== b)))
  const schedule = fc
    .array(part, { minLength: 1, maxLength: 8 })
    .map((parts) => parts.map(([a, b, range]) => `${a}-${b}${range ? ` ${range[0]}-${range[1]}` : ''}`).join(', '))
  fc.assert(
    fc.property(schedule, (text) => {
      const spans = parseSchedule(text)!
      assert.deepEqual(parseSchedule(printSchedule(spans)), spans)
      for (const [index, { from, to }] of spans.entries())
        assert.ok(from < to && to <= 10_080 && (index === 0 || spans[index - 1]!.to < from), 'apart and in order')
    }),
  )
  assert.equal(weekMinute(new Date(2026, 10, 30, 0, 5).getTime()), 5, 'a Monday')
  assert.equal(weekMinute(new Date(2026, 10, 29, 23, 59).getTime()), 10_079, 'a Sunday')
})

test('settings in words: what was said holds, all else by default; older files too', () => {
  const { cores, memoryBytes, diskBytes } = resolveSettings({}, machine)
  assert.deepEqual([cores, memoryBytes, diskBytes], [7, 7 * GIB, 10 * GIB])
  assert.equal(defaultSettings({ ...machine, cores: 1 }).cores, 0.5)
  assert.equal(defaultSettings({ ...machine, freeDiskBytes: 8 * GIB }).diskBytes, 4 * GIB, 'half of what is free')
  OwnerSettingsSchema.parse(defaultSettings(machine))

  const said = {
    cpu: '40%',
    memory: '2Gi',
    disk: '20GB',
    keepFree: '5GB',
    slices: 2,
    when: 'idle',
    pauseAt: '25%',
    inputIdle: '3min',
    schedule: 'mon-fri 18:00-08:00, sat-sun',
    battery: false,
    temperature: 80,
    metered: false,
    rate: '2MB/s',
    monthly: '50GB',
    applications: ['zoom'],
    isolation: 'auto',
    name: 'study',
  }
  const settings = resolveSettings(readWords(said, machine) as typeof said, machine)
  OwnerSettingsSchema.parse(settings)
  assert.deepEqual(
    [settings.cores, settings.keepFreeBytes, settings.inputIdleMs, settings.bytesPerSecond, settings.applications],
    [3.2, 5e9, 180_000, 2e6, ['zoom']],
  )
  const old = readWords({ disk: '20GB', keepFree: '5Gi', cores: 0.5 }, machine)
  assert.deepEqual(old, { disk: '20GB', keepFree: '5Gi', cpu: 0.5 })
  assert.deepEqual(readWords({ cores: 1, cpu: '50%' }, machine), { cpu: '50%' })
})

test('what means nothing is refused with what may be written; a slip of the pen is recognised', () => {
  const refused = (value: unknown, pattern: RegExp) =>
    assert.throws(
      () => readWords(value, machine),
      (error) => isPinGoError(error, 'SETTINGS_INVALID') && pattern.test(`${error.message} ${error.hint}`),
      JSON.stringify(value),
    )
  refused({ disc: '20GB' }, /no setting 'disc'.* Did you mean disk\?/)
  refused({ shedule: 'always' }, /Did you mean schedule\?/)
  refused({ colour: 'red' }, /There are: cpu, memory/)
  refused({ cpu: '140%' }, /cpu cannot be "140%": .*40%.*this machine has 8 cores/)
  refused({ cpu: 9 }, /8 cores/)
  refused({ cpu: 0.01 }, /cpu cannot be 0.01/)
  refused({ memory: '1Ti' }, /16.0 GiB/)
  for (const wrong of [
    { disk: 20 },
    { disk: 'lots' },
    { disk: '0' },
    { cpu: {} },
    { when: 'never' },
    { applications: [1] },
  ])
    refused(wrong, /cannot be/)
  refused({ __proto__: null, constructor: 1 }, /no setting 'constructor'/)
  refused({ schedule: 'mon 8-9' }, /mon-fri 18:00-08:00/)
  refused([], /are an object/)
  refused('cpu', /are an object/)
})

test('a command sets with the same words, and takes a setting back to its default', () => {
  const cores = (text: string) => {
    const [name, value] = readAssignment(text, machine)
    return resolveSettings({ [name]: value ?? undefined }, machine).cores
  }
  assert.deepEqual(
    ['cpu=40%', 'cpu=1.5', 'cores=2', 'CPU=100%', 'cpu=', 'cpu=default'].map(cores),
    [3.2, 1.5, 2, 8, 7, 7],
  )
  assert.deepEqual(readAssignment('keep-free=5GB', machine), ['keepFree', '5GB'])
  assert.deepEqual(readAssignment('name=a=b', machine), ['name', 'a=b'])
  assert.throws(() => readAssignment('cpu', machine), /WORD=VALUE/)
})

test('any settings that can be said are printed in words that say them again, in a file and on a command line', () => {
  const share = fc.nat(1_000_000).map((n) => n / 1e6)
  const bytes = fc.nat(2 ** 45)
  const settings: fc.Arbitrary<OwnerSettings> = fc
    .record({
      name: fc.string({ minLength: 1, maxLength: 100 }).filter((name) => name.trim() === name && !/\p{Cc}/u.test(name)),
      cores: fc.double({ min: 0.05, max: 8, noNaN: true }),
      memoryBytes: fc.integer({ min: 256 * 2 ** 20, max: 16 * GIB }),
      diskBytes: fc.integer({ min: 64 * 2 ** 20, max: 2 ** 45 }),
      keepFreeBytes: fc.integer({ min: 1, max: 2 ** 45 }),
      slices: fc.nat(256),
      when: fc.constantFrom('idle' as const, 'always' as const),
      pauseAtShare: share,
      inputIdleMs: fc.nat(1e10),
      schedule: fc
        .constantFrom('always', 'sat', 'mon-fri 18:00-08:00', 'sun 12:00-11:59')
        .map((s) => parseSchedule(s)!),
      onBattery: fc.boolean(),
      leastBatteryShare: share,
      maxTemperatureC: fc.nat(150),
      onMetered: fc.boolean(),
      bytesPerSecond: bytes,
      monthlyBytes: bytes,
      applications: fc.array(
        fc
          .stringMatching(/^[a-zA-Z0-9. _-]{1,20}$/)
          .filter((s) => s.trim() === s && s !== 'none' && s !== 'no' && s !== 'off'),
      ),
      isolation: fc.constantFrom('auto' as const, 'native' as const, 'wasm' as const),
    })
    .map((s) => ({ ...s, leastBatteryShare: s.onBattery ? s.leastBatteryShare : 0 }))
  fc.assert(
    fc.property(settings, (s) => {
      const words = printSettings(s)
      assert.deepEqual(resolveSettings(JSON.parse(JSON.stringify(words)), machine), s)
      const lines = Object.entries(words).map(([name, value]) => readAssignment(`${name}=${wordText(value)}`, machine))
      const { name: _, ...said } = Object.fromEntries(lines) // a name may be '' or 'default' on a command line
      assert.deepEqual(resolveSettings({ ...said, name: s.name } as never, machine), s)
    }),
  )
})
