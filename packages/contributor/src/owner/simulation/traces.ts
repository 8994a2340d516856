/**
 * What a desktop's owner does, drawn from a seed: nights in which next to nothing runs, browsing in short bursts, calls, compiling,
 * a burst of two seconds every ten, games. Invented, not recorded; the phases are made to be hard on whoever has to give way.
 */

/** A stretch in which the owner's programs want so many cores. */
export interface Stretch {
  ms: number
  cores: number
}

/** Numbers in [0, 1) from a seed (mulberry32 by Tommy Ettinger). */
export function seeded(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Draw = () => number
type Phase = (draw: Draw, cores: number, ms: number) => Stretch[]

const between = (draw: Draw, from: number, to: number): number => from + draw() * (to - from)
const exponential = (draw: Draw, mean: number): number => -mean * Math.log(1 - draw())

/** Something short again and again, with next to nothing between. */
const bursts =
  (gap: (draw: Draw) => number, length: (draw: Draw) => number, height: (draw: Draw, cores: number) => number): Phase =>
  (draw, cores, ms) => {
    const stretches: Stretch[] = []
    for (let left = ms; left > 0; ) {
      const quiet = Math.max(100, gap(draw))
      const loud = Math.max(50, length(draw))
      stretches.push({ ms: quiet, cores: between(draw, 0, 0.04) }, { ms: loud, cores: height(draw, cores) })
      left -= quiet + loud
    }
    return stretches
  }

/** About as much all the time, differently in every half second. */
const steady =
  (from: number, to: number): Phase =>
  (draw, cores, ms) =>
    Array.from({ length: Math.ceil(ms / 500) }, () => ({ ms: 500, cores: between(draw, from, to) * cores }))

export const PHASES = {
  /** A timer each minute, a larger one now and then. */
  idle: bursts(
    (draw) => between(draw, 50_000, 70_000),
    (draw) => (draw() < 0.1 ? between(draw, 5_000, 20_000) : between(draw, 100, 500)),
    (draw) => between(draw, 0.2, 1),
  ),
  reading: bursts(
    (draw) => exponential(draw, 40_000),
    (draw) => between(draw, 300, 1_500),
    (draw, cores) => between(draw, 0.3, 0.8) * cores,
  ),
  browsing: bursts(
    (draw) => exponential(draw, 8_000),
    (draw) => between(draw, 200, 2_500),
    (draw, cores) => between(draw, 0.2, 1) * cores,
  ),
  typing: bursts(
    (draw) => between(draw, 100, 1_000),
    () => 100,
    (draw) => between(draw, 0.1, 0.5),
  ),
  call: steady(0.15, 0.45),
  music: steady(0.01, 0.06),
  compile: (draw, cores, ms) =>
    bursts(
      (d) => between(d, 5_000, 90_000),
      (d) => between(d, 5_000, 120_000),
      (_, c) => c,
    )(draw, cores, ms),
  metronome: bursts(
    () => 8_000,
    () => 2_000,
    (_, cores) => cores,
  ),
  game: steady(0.4, 0.9),
  /** Around the threshold, the hardest to be calm about. */
  edge: steady(0.15, 0.35),
} satisfies { [name: string]: Phase }

/** How likely a phase is while someone is at the machine. */
const DAY: readonly (readonly [keyof typeof PHASES, number])[] = [
  ['idle', 0.3],
  ['reading', 0.22],
  ['browsing', 0.12],
  ['typing', 0.1],
  ['music', 0.06],
  ['call', 0.05],
  ['compile', 0.05],
  ['metronome', 0.03],
  ['game', 0.04],
  ['edge', 0.03],
]

/** Hours of a desktop of so many cores: phases of two minutes to half an hour, the last part a night or a long absence. */
export function desktopTrace(seed: number, cores: number, hours = 8): Stretch[] {
  const draw = seeded(seed)
  const end = hours * 3_600_000
  const night = end * between(draw, 0.55, 0.8)
  const trace: Stretch[] = []
  for (let at = 0; at < end; ) {
    const name = at >= night ? 'idle' : pick(draw)
    const stretches = PHASES[name](draw, cores, between(draw, 120_000, 1_800_000))
    for (const { ms, cores: wanted } of stretches) {
      trace.push({ ms: Math.round(ms), cores: Math.min(cores, wanted) })
      at += Math.round(ms)
    }
  }
  return trace
}

function pick(draw: Draw): keyof typeof PHASES {
  let left = draw()
  for (const [name, share] of DAY) if ((left -= share) < 0) return name
  return 'idle'
}
