import { bytes, compact, cores, duration, NONE, plural, rate, speed, whole } from '../core/format.ts'
import type { NetworkState } from '../core/network-state.ts'
import { Sparkline } from './sparkline.tsx'
import { Stat } from './stat.tsx'

/** The network at a glance. */
export function NetworkStats({ state }: { state: NetworkState }) {
  const { network, history, serverNow } = state
  const training = network?.contributors.filter((contributor) => contributor.state === 'training').length ?? 0
  const memory = network?.contributors.reduce((sum, contributor) => sum + contributor.offer.memoryBytes, 0)
  const peak = Math.max(0, ...history)
  return (
    <dl className="panel stats" aria-label="Network" aria-busy={network === undefined}>
      <Stat
        label="Contributors"
        value={network && whole(network.contributors.length)}
        note={network && (training > 0 ? `${whole(training)} training` : 'none training')}
      />
      <Stat label="Cores lent" value={network && cores(network.cores)} note={network && `${bytes(memory)} memory`} />
      <Stat
        label="Speed now"
        value={network && speed(network.samplesPerSecond)}
        unit="samples/s"
        note={network && (peak > 0 ? `peak ${speed(peak)} while this page is open` : 'idle')}
      >
        <Sparkline
          values={history}
          label={`Samples per second, now ${rate(network?.samplesPerSecond)}, peak ${rate(peak)}`}
        />
      </Stat>
      <Stat
        label="Trained in total"
        value={network && compact(network.samplesTotal)}
        unit="samples"
        note={network && `${plural(network.jobs.done, 'job')} done`}
      />
      <Stat
        label="Stored here"
        value={network && bytes(network.fog.blockBytes)}
        note={network && `${plural(network.fog.blocks, 'block')} · up ${upTime(network.fog.startedAt, serverNow)}`}
      />
    </dl>
  )
}

const upTime = (startedAt: number, now: number): string => (now > startedAt ? duration(now - startedAt) : NONE)
