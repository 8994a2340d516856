import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCgroup } from './cgroup.ts'
import { allowedCpus, busyOf, loadSensor, stall } from './cpu.ts'
import { parseStat, treeClock } from './process-tree.ts'
import { patient, type Run } from './sensors/command.ts'
import { inputIdle, terminalIdle } from './sensors/input.ts'
import { battery, temperature } from './sensors/power.ts'
import { metered, runningApplication } from './sensors/programs.ts'
import { addLook, readWeek, slowedIn, type Week, writeWeek } from './week.ts'

const root = mkdtempSync(join(tmpdir(), 'pingo-sensors-'))
after(() => rmSync(root, { recursive: true, force: true }))
let trees = 0

/** A folder with such files, as /proc and /sys would have them. */
function tree(files: { [path: string]: string }): string {
  const folder = join(root, String(trees++))
  mkdirSync(folder)
  write(folder, files)
  return folder
}

function write(folder: string, files: { [path: string]: string }): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

/** A line of /proc/PID/stat; times in ticks of 10 ms. */
const stat = (pid: number, parent: number, own: number, ended = 0, name = 'node'): string =>
  `${pid} (${name}) S ${parent} 1 1 0 -1 0 0 0 0 0 ${own} 0 ${ended} 0 20 0 1 0 100 0 10 0 0\n`

const cpuLine = (...ticks: number[]): string => `cpu${ticks.join(' ')}\n`

test('the CPU time of a tree does not jump when a child ends', () => {
  const proc = tree({
    '10/stat': stat(10, 1, 100),
    '10/task/10/children': '11 ',
    '11/stat': stat(11, 10, 500, 0, 'a) R (b'),
    '11/task/11/children': '',
  })
  const clock = treeClock(proc)
  assert.equal(clock([10], [], 0)?.cpuMs, 0)
  write(proc, { '10/stat': stat(10, 1, 110), '11/stat': stat(11, 10, 520) })
  assert.equal(clock([10], [], 200)?.cpuMs, 300)
  // 11 worked 50 ms more, ended, and was waited for
  rmSync(join(proc, '11'), { recursive: true })
  write(proc, { '10/stat': stat(10, 1, 110, 525), '10/task/10/children': '' })
  assert.equal(clock([10], [], 400)?.cpuMs, 350)
  // a new child counts from its start
  write(proc, {
    '10/task/10/children': '12 ',
    '12/stat': stat(12, 10, 4),
    '12/task/12/children': '',
  })
  const look = clock([10], [], 600)
  assert.equal(look?.cpuMs, 390)
  assert.equal(look?.rssBytes, 10 * 4096, 'memory of the root is its own matter')
  assert.equal(clock([], [], 800), undefined)
})

test('a process’s name cannot shift the fields', () => {
  assert.deepEqual(parseStat(stat(7, 3, 5, 6, 'x) Z 1 (y')), {
    parent: 3,
    ownMs: 50,
    endedMs: 60,
    rssBytes: 40_960,
    isRunnable: false,
  })
  assert.equal(parseStat('nonsense'), undefined)
})

test('busy time: niced programs count, idle, disks and the host’s time do not; only CPUs that may be used', () => {
  const text = `cpu  0 0 0\n${cpuLine(0, 1, 2, 3, 100, 50, 4, 5, 60)}${cpuLine(1, 10, 0, 0, 0, 0, 0, 0, 0)}intr 1 2\n`
  assert.equal(busyOf(text), 250)
  assert.equal(busyOf(text, new Set([0])), 150)
  assert.equal(busyOf('nonsense'), undefined)
  assert.deepEqual(allowedCpus('Cpus_allowed_list:\t0-2,8\n'), new Set([0, 1, 2, 8]))
  assert.equal(stall('some avg10=1.00 avg60=0.00 avg300=0.00 total=1234\nfull avg10=0'), 1234)
})

test('others are what is busy without PinGo; pressure is a share of the time', () => {
  const files = (busy: number, own: number, stalled: number) => ({
    stat: `cpu 0\n${cpuLine(0, busy, 0, 0, 0)}intr 0\n`,
    '10/stat': stat(10, 1, own),
    '10/task/10/children': '',
    'pressure/cpu': `some avg10=0 total=${stalled}\n`,
    meminfo: 'MemTotal: 1000 kB\nMemAvailable: 400 kB\n',
    loadavg: '0 0 0 5/100 1\n',
    'self/status': 'Cpus_allowed_list:\t0\n',
  })
  const proc = tree(files(1_000, 500, 0))
  let now = 0
  const look = loadSensor({
    proc,
    cgroups: join(root, 'none'),
    monotonic: () => now,
    own: () => [10],
    parallelism: () => 2,
  })
  const first = look()
  assert.equal(first.othersCores, undefined)
  assert.equal(first.freeMemoryBytes, 400 * 1024)
  now = 200
  write(proc, files(1_030, 510, 50_000))
  const second = look()
  assert.equal(second.othersCores, 1)
  assert.equal(second.ownCores, 0.5)
  assert.equal(second.pressure, 0.25)
  assert.equal(second.waiting, 3)
  now = 210
  assert.equal(look().othersCores, 1, 'too soon to measure: as before')
})

test('a quota is the capacity, and the cgroup’s own use counts (v2)', () => {
  const cgroups = tree({
    'a/cpu.max': '150000 100000',
    'a/cpu.stat': 'usage_usec 1000000\nuser_usec 1',
    'a/b/cpu.max': 'max 100000',
    'a/memory.max': '1000000',
    'a/memory.current': '700000',
    'a/memory.stat': 'inactive_file 200000\n',
    'a/b/memory.max': 'max',
  })
  const proc = tree({ 'self/cgroup': '0::/a/b\n', meminfo: 'MemTotal: 9000 kB\nMemAvailable: 9000 kB\n' })
  let now = 0
  const look = loadSensor({
    proc,
    cgroups,
    monotonic: () => now,
    own: () => [],
    ownCpuMs: () => 0,
    parallelism: () => 16,
  })
  assert.equal(look().capacityCores, 1.5)
  write(cgroups, { 'a/cpu.stat': 'usage_usec 1100000\n' })
  now = 200
  const second = look()
  assert.equal(second.othersCores, 0.5)
  assert.equal(second.totalMemoryBytes, 1_000_000)
  assert.equal(second.freeMemoryBytes, 500_000)
})

test('cgroups v1, and a container that does not see its path', () => {
  const cgroups = tree({
    'cpu,cpuacct/cpu.cfs_quota_us': '50000',
    'cpu,cpuacct/cpu.cfs_period_us': '100000',
    'cpu,cpuacct/cpuacct.usage': '5000000',
    'memory/memory.limit_in_bytes': '9223372036854771712',
  })
  const proc = tree({ 'self/cgroup': '4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n' })
  const found = readCgroup({ proc, cgroups })
  assert.equal(found.quotaCores, 0.5)
  assert.equal(found.usedCpuMs?.(), 5)
  assert.equal(found.memoryLimitBytes, undefined)
  assert.deepEqual(readCgroup({ proc: root, cgroups: root }), {})
  assert.deepEqual(readCgroup({ proc: tree({ 'self/cgroup': '0::/../..\n' }), cgroups }), {})
})

/** Programs that say what is given, by their first arguments; the others are not there. */
const fake =
  (says: { [call: string]: string }): Run =>
  async (program, args) =>
    Object.entries(says).find(([call]) => [program, ...args].join(' ').includes(call))?.[1]

test('input: the latest sign of life counts, whoever saw it', async () => {
  const dev = tree({ 'pts/0': '', 'pts/ptmx': '', tty1: '', ttyS0: '' })
  utimesSync(join(dev, 'pts/0'), 1_000, 1_000)
  utimesSync(join(dev, 'tty1'), 900, 900)
  assert.equal(terminalIdle(1_060_000, dev), 60_000)
  const ask = (says: { [call: string]: string }, platform: NodeJS.Platform, env = {}) =>
    inputIdle({ run: fake(says), platform, env, clock: () => 1_060_000, dev })
  const bus = { DBUS_SESSION_BUS_ADDRESS: 'x' }
  assert.equal(await ask({ GetIdletime: 't 500\n' }, 'linux', bus), 500)
  assert.equal(await ask({ 'gdbus call': '(uint64 700,)\n' }, 'linux', bus), 700)
  assert.equal(await ask({ IdleHint: 'b true\nt 1050000000\n' }, 'linux'), 10_000)
  assert.equal(await ask({ IdleHint: 'b false\nt 0\n' }, 'linux'), 60_000)
  assert.equal(await ask({ xprintidle: '42\n' }, 'linux', { DISPLAY: ':0' }), 42)
  assert.equal(await ask({ ioreg: '  |   "HIDIdleTime" = 3000000000\n' }, 'darwin'), 3_000)
  assert.equal(await inputIdle({ run: fake({}), platform: 'linux', env: {}, clock: () => 0, dev: root }), undefined)
})

test('battery and temperature', async () => {
  const laptop = {
    'class/power_supply/AC/type': 'Mains\n',
    'class/power_supply/AC/online': '0\n',
    'class/power_supply/BAT0/type': 'Battery\n',
    'class/power_supply/BAT0/status': 'Discharging\n',
    'class/power_supply/BAT0/capacity': '40\n',
    'class/power_supply/mouse/type': 'Battery\n',
    'class/power_supply/mouse/scope': 'Device\n',
    'class/power_supply/mouse/capacity': '3\n',
    'class/hwmon/hwmon0/name': 'nvme\n',
    'class/hwmon/hwmon0/temp1_input': '90000\n',
    'class/hwmon/hwmon1/name': 'coretemp\n',
    'class/hwmon/hwmon1/temp1_input': '51000\n',
    'class/hwmon/hwmon1/temp2_input': '57000\n',
  }
  const sys = tree(laptop)
  const run = fake({})
  assert.deepEqual(await battery({ run, platform: 'linux', sys }), { onBattery: true, batteryShare: 0.4 })
  write(sys, { 'class/power_supply/AC/online': '1\n' })
  assert.equal((await battery({ run, platform: 'linux', sys })).onBattery, false)
  assert.deepEqual(await battery({ run, platform: 'linux', sys: root }), {})
  const mac = fake({ pmset: "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t87%; discharging;\n" })
  assert.deepEqual(await battery({ run: mac, platform: 'darwin' }), { onBattery: true, batteryShare: 0.87 })
  assert.equal(temperature(sys), 57)
  const zones = { 'class/thermal/thermal_zone0/type': 'acpitz', 'class/thermal/thermal_zone0/temp': '45000' }
  assert.equal(temperature(tree(zones)), 45)
  assert.equal(temperature(root), undefined)
})

test('programs that pause it, and networks paid by volume', async () => {
  const proc = tree({ '5/comm': 'steam\n', '5/cmdline': '/usr/bin/Steam-Long-Name\0-x\0', '6/comm': 'zoom\n' })
  const ask = (wanted: string[], except?: number[]) =>
    runningApplication(wanted, { run: fake({}), platform: 'linux', proc }, except)
  assert.equal(await ask(['steam-long-name.exe']), 'steam-long-name.exe')
  assert.equal(await ask(['Zoom']), 'Zoom')
  assert.equal(await ask(['zoom'], [6]), undefined)
  assert.equal(await ask([]), undefined)
  const windows = fake({ tasklist: '"Zoom.exe","1","x"\r\n' })
  assert.equal(await runningApplication(['zoom'], { run: windows, platform: 'win32' }), 'zoom')
  const network = (says: { [call: string]: string }) => metered({ run: fake(says), platform: 'linux' })
  assert.equal(await network({ Metered: 'u 3\n' }), true)
  assert.equal(await network({ Metered: 'u 4\n' }), false)
  assert.equal(await network({ nmcli: 'GENERAL.METERED:yes (guessed)\n' }), true)
  assert.equal(await network({}), undefined)
})

test('what is not there is not asked again at once', async () => {
  let asked = 0
  let now = 0
  const run = patient(
    async () => {
      asked += 1
      return undefined
    },
    () => now,
  )
  await run('busctl', ['a'])
  await run('busctl', ['a'])
  assert.equal(asked, 1)
  now = 600_000
  await run('busctl', ['a'])
  assert.equal(asked, 2)
})

test('how much the owner was slowed: only a full machine takes, at most what waited; a week is kept', () => {
  const look = { at: 0, capacityCores: 2, othersCores: 1, ownCores: 1, waiting: 0 }
  let week: Week = addLook({ days: [] }, look, 1_000)
  assert.deepEqual(slowedIn(week), { share: 0, lentMs: 1_000 })
  week = addLook(week, { ...look, waiting: 3, ownCores: 1 }, 1_000)
  assert.deepEqual(slowedIn(week), { share: 1 / 4, lentMs: 2_000 }, 'half of what was wanted, half of the time')
  week = addLook(week, { ...look, waiting: 3, othersCores: 0.2 }, 1_000)
  assert.deepEqual(slowedIn(week), { share: 1 / 6, lentMs: 3_000 }, 'a machine that is not full takes nothing')
  const file = join(root, 'owner-week.json')
  writeWeek(file, week)
  assert.deepEqual(readWeek(file), week)
  const later = addLook(week, { ...look, at: 8 * 86_400_000 }, 1_000)
  assert.equal(later.days.length, 1)
  writeFileSync(file, '{"days":7}')
  assert.deepEqual(readWeek(file), { days: [] })
})

test('how much the owner was slowed: the first minutes of an owner who does next to nothing are no alarm, and what was is not forgotten', () => {
  // both cores are used; in one look of ten a task that wakes up is caught waiting, while the owner’s programs use 0.05 cores
  const look = { at: 0, capacityCores: 2, othersCores: 0.05, ownCores: 1.95, waiting: 0 }
  let week: Week = { days: [] }
  for (let i = 0; i < 600; i++) week = addLook(week, { ...look, at: i * 200, waiting: i % 10 === 0 ? 1 : 0 }, 200)
  const { share, lentMs } = slowedIn(week)
  assert.equal(Math.round(lentMs), 120_000)
  assert.ok(share > 0.09 && share <= 0.1, `${share}: at most the part of the time in which something waited`)
  // it stays a bound: an owner who wants all and gets half of it is slowed by half, however long it was quiet before
  const hour = 3_600_000
  for (let i = 0; i < 3_600; i++) week = addLook(week, { ...look, at: hour + i * 1_000 }, 1_000)
  for (let i = 0; i < 3_600; i++)
    week = addLook(week, { ...look, at: 2 * hour + i * 1_000, othersCores: 1, ownCores: 1, waiting: 2 }, 1_000)
  const mixed = slowedIn(week)
  const expected = (0.5 * hour + share * lentMs) / (2 * hour + lentMs)
  assert.ok(Math.abs(mixed.share - expected) < 1e-6, `${mixed.share} and not ${expected}`)
})

test('on this machine: a program of PinGo’s own is not taken for the owner’s', {
  skip: process.platform !== 'linux',
}, async () => {
  const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
  try {
    const look = loadSensor({ own: () => [process.pid] })
    look()
    let own = 0
    for (let i = 0; i < 100 && own < 0.1; i++) {
      await sleep(300)
      const { ownCores, othersCores, capacityCores } = look()
      assert.ok(othersCores! >= 0 && othersCores! <= capacityCores)
      own = ownCores!
    }
    assert.ok(own >= 0.1, `${own} cores of a child that spins`)
  } finally {
    child.kill('SIGKILL')
  }
})
