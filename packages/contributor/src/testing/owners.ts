/**
 * Owners whose machines are idle now and then, by the minute, seeded. None is made of what the forecast assumes: people come late, have days off, lunch,
 * pauses of log-normal length, weeks that differ.
 */

const DAY = 1440

/** Uniform in [0, 1) (mulberry32). */
export type Random = () => number

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const normal = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
const around = (random: Random, mean: number, deviation: number) => Math.round(mean + deviation * normal(random))
const exponential = (random: Random, mean: number) => -mean * Math.log(1 - random())
const logNormal = (random: Random, median: number, spread: number) => median * Math.exp(spread * normal(random))

/** Whether the machine is available, by minute; begins on a Monday at 00:00. */
export type Owner = (minutes: number, random: Random) => Uint8Array

const free = (minutes: number) => new Uint8Array(minutes).fill(1)
const busy = (trace: Uint8Array, from: number, to: number) => trace.fill(0, Math.max(0, from), Math.max(0, to))

/** At the machine from `from` to `to`: works in stretches, with pauses in which it is idle. */
function session(
  trace: Uint8Array,
  random: Random,
  o: { from: number; to: number; stretch: number; pause: number },
): void {
  for (let at = o.from; at < o.to; ) {
    const until = Math.min(o.to, at + Math.max(1, Math.round(logNormal(random, o.stretch, 0.8))))
    busy(trace, at, until)
    at = until + Math.max(1, Math.round(logNormal(random, o.pause, 0.9)))
  }
}

/** Working days nine to half past five, lunch, meetings, a day off now and then. */
export const officeWorker: Owner = (minutes, random) => {
  const trace = free(minutes)
  for (let day = 0; day * DAY < minutes; day++) {
    if (day % 7 >= 5 || random() < 0.08) continue
    const lunch = around(random, 12.25 * 60, 15)
    const back = lunch + around(random, 45, 10)
    const at = day * DAY
    session(trace, random, { from: at + around(random, 540, 20), to: at + lunch, stretch: 25, pause: 8 })
    session(trace, random, { from: at + back, to: at + around(random, 1050, 40), stretch: 25, pause: 8 })
  }
  return trace
}

/** Evenings from half past seven, at weekends afternoons too; mornings a look at the mail. */
export const eveningGamer: Owner = (minutes, random) => {
  const trace = free(minutes)
  for (let day = 0; day * DAY < minutes; day++) {
    const at = day * DAY
    if (random() < 0.8)
      session(trace, random, {
        from: at + around(random, 1170, 40),
        to: at + around(random, 1410, 45),
        stretch: 70,
        pause: 6,
      })
    if (day % 7 >= 5 && random() < 0.6)
      session(trace, random, {
        from: at + around(random, 840, 50),
        to: at + around(random, 1080, 40),
        stretch: 60,
        pause: 8,
      })
    if (random() < 0.5) {
      const mail = at + around(random, 450, 20)
      busy(trace, mail, mail + Math.max(2, around(random, 8, 4)))
    }
  }
  return trace
}

/** Backups at three each night, a build every few hours of the working day. */
export const server: Owner = (minutes, random) => {
  const trace = free(minutes)
  for (let day = 0; day * DAY < minutes; day++) {
    const backup = day * DAY + around(random, 180, 3)
    busy(trace, backup, backup + around(random, 22, 4))
    for (let at = day * DAY + exponential(random, 600); at < (day + 1) * DAY; at += exponential(random, 600)) {
      const from = Math.round(at)
      busy(trace, from, from + Math.max(1, Math.round(logNormal(random, 6, 0.7))))
    }
  }
  return trace
}

/** Early, late and night shifts, a week each; at the machine when at home and awake. */
export const shiftWorker: Owner = (minutes, random) => {
  const trace = free(minutes)
  const home = [
    [900, 1290],
    [480, 780],
    [960, 1260],
  ] as const
  for (let day = 0; day * DAY < minutes; day++) {
    if (random() < 0.15) continue
    const [from, to] = day % 7 >= 5 ? ([660, 1380] as const) : home[Math.floor(day / 7) % 3]!
    const at = day * DAY
    session(trace, random, {
      from: at + around(random, from, 30),
      to: at + around(random, to, 30),
      stretch: 30,
      pause: 20,
    })
  }
  return trace
}

/** No habits: comes and goes by chance at any hour. */
export const noHabits: Owner = (minutes, random) => {
  const trace = new Uint8Array(minutes)
  let available = random() < 2 / 3
  for (let at = 0; at < minutes; available = !available) {
    const until = at + Math.max(1, Math.round(exponential(random, available ? 60 : 30)))
    if (available) trace.fill(1, at, until)
    at = until
  }
  return trace
}
