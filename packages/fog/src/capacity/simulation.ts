import { flopsOfLink } from '@pingo/engine/challenge'
import type { Credit } from '@pingo/wire'
import { Random } from '../simulator/random.ts'
import { createCapacity, stepCapacity, wakeOf } from './core.ts'
import type { CapacityEvent, Challenge } from './types.ts'

/** A machine in a simulation, with the contributors that run on it. */
export interface SimMachine {
  /** Contributors on it, and the slices of one core that each of them claims. */
  identities: number
  slices: number
  /** What it really has: cores of so many FLOP/s; all together `shared` of their sum (hyper-threads, heat). */
  cores: number
  flops: number
  shared?: number
  rttMs: number
  jitterMs?: number
  /** FLOP/s that a slice claims; by default the truth, corrected by what was shown in the last two sessions, as honest software does. */
  claim?: number
  /** Part of the machine that its owner leaves in a session; 1 by default. */
  free?: (random: Random) => number
  /** Probability that a session finds it paused. */
  paused?: number
  /** Work is done by a machine behind it, as fast as this and so far away, where that is quicker than its own cores. */
  helper?: { flops: number; cores: number; rttMs: number; always: boolean; delaysEchoes?: boolean }
  /** Part of the answers that are invented. */
  invents?: number
}

export interface SimPeer {
  id: string
  machine: SimMachine
  credit: Credit | undefined
  /** Credits after each of its sessions. */
  history: Credit[]
}

/** Runs the machines of one address block against the fog node's core until each contributor had so many sessions. */
export function simulate(machines: readonly SimMachine[], sessions: number, seed: number): SimPeer[] {
  const random = new Random(seed)
  const chance = { random: () => random.next(), seed: () => new Uint8Array(32) }
  const state = createCapacity()
  const peers = new Map<string, SimPeer>()
  const shown = new Map<string, number[]>()
  const free = new Map<SimMachine, number>()
  const queue: (CapacityEvent & { order: number })[] = []
  let order = 0
  const push = (event: CapacityEvent): void => {
    queue.push({ ...event, order: order++ })
    queue.sort((a, b) => b.at - a.at || b.order - a.order)
  }
  for (const [m, machine] of machines.entries())
    for (let i = 0; i < machine.identities; i++) {
      const id = `m${m}i${i}`
      peers.set(id, { id, machine, credit: undefined, history: [] })
      const claim = {
        slices: Array(machine.slices).fill(1) as number[],
        flops: machine.slices * (machine.claim ?? machine.flops),
      }
      push({ type: 'joined', at: random.next() * 100, peer: id, cluster: '10.0.0.0/24', claim })
    }

  const answer = (peer: SimPeer, at: number, challenge: Challenge, sharing: number): void => {
    const { machine, id } = peer
    const way = machine.rttMs + (machine.jitterMs ?? 0) * random.next() ** 3
    if (challenge.step === 'echo') {
      const delay = machine.helper?.delaysEchoes ? machine.helper.rttMs : 0
      push({
        type: 'answer',
        at: at + way + delay,
        peer: id,
        challenge: challenge.id,
        slice: challenge.slices[0]!,
        state: 'done',
        links: 0,
      })
      return
    }
    for (const slice of challenge.slices) {
      const said = { type: 'answer' as const, peer: id, challenge: challenge.id, slice }
      if (challenge.step === 'prepare') {
        const recent = shown.get(id)?.slice(-2)
        const flops = machine.claim === undefined && recent ? Math.max(...recent) : undefined
        push({
          ...said,
          at: at + way + 100 * random.next(),
          state: 'ready',
          links: 0,
          ...(flops === undefined ? {} : { flops }),
        })
        continue
      }
      const load = free.get(machine)! * (0.9 + 0.1 * random.next())
      const speed = (f: number, cores: number, shared = 1) =>
        (Math.min(f, (f * cores * (sharing > 1 ? shared : 1)) / sharing) * load) /
        flopsOfLink(challenge.products[0]!) /
        1000
      const local = speed(machine.flops, machine.cores, machine.shared)
      const remote = machine.helper ? speed(machine.helper.flops, machine.helper.cores) : 0
      const late = machine.helper?.rttMs ?? 0
      const time = (links: number) =>
        machine.helper?.always
          ? late + links / remote
          : Math.min(links / local, remote > 0 ? late + links / remote : Infinity)
      let links = challenge.links
      if (time(links) > challenge.ms) links = Math.max(1, Math.ceil(challenge.ms * Math.max(local, remote)))
      push({ ...said, at: at + way + time(links), state: 'done', links })
    }
  }

  const act = (event: CapacityEvent): void => {
    const commands = stepCapacity(state, event, chance)
    const asked = commands.filter((command) => command.type === 'send')
    const load = new Map<SimMachine, number>()
    for (const { peer, challenge } of asked) {
      const { machine } = peers.get(peer)!
      load.set(machine, (load.get(machine) ?? 0) + challenge.slices.length)
      if (challenge.step === 'prepare') free.set(machine, machine.free?.(random) ?? 1)
    }
    for (const { peer, challenge } of asked) {
      const { machine } = peers.get(peer)!
      answer(peers.get(peer)!, event.at, challenge, load.get(machine)!)
      if (machine.invents && challenge.step === 'work' && random.chance(1 - (1 - machine.invents) ** 2))
        push({ type: 'checked', at: event.at + 1_000, peer, valid: false })
    }
    for (const command of commands) {
      if (command.type === 'send') continue
      const peer = peers.get(command.peer)!
      peer.credit = command.credit
      if (command.type !== 'credited') continue
      peer.history.push(command.credit)
      shown.set(peer.id, [...(shown.get(peer.id) ?? []), command.shown])
      const isPaused = random.chance(peer.machine.paused ?? 0)
      if (!isPaused) continue
      push({ type: 'state', at: event.at + 10, peer: peer.id, paused: true })
      push({ type: 'state', at: event.at + 900_000 * random.next() + 20, peer: peer.id, paused: false })
    }
  }

  for (let steps = 0; steps < 20_000 * sessions; steps++) {
    if ([...peers.values()].every(({ history }) => history.length >= sessions)) break
    const wake = wakeOf(state)
    const next = queue.at(-1)
    if (next && next.at <= wake) act(queue.pop()!)
    else act({ type: 'tick', at: wake })
  }
  return [...peers.values()]
}
