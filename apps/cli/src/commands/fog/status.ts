import type { StorageView } from '@pingo/wire'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, withClient } from '../../context.ts'
import { bytes, whole } from '../../format.ts'
import type { Output } from '../../output.ts'

/** Peers that are listed. */
const MAX_LISTED = 30

export function statusCommand({ signal }: Context): Command {
  return clientCommand('status', 'See a fog node in the storage network: what it keeps, its peers, audits, repairs.', [
    'pingo fog status',
    'pingo fog status --fog https://fog.example.org:7070#PIN --json',
    'pingo fog status --check',
  ])
    .option('--check', 'have it check all objects in its care now, instead of within the day')
    .action((options: ClientOptions & { check?: boolean }) =>
      withClient(options, async (client, output) => {
        const view = options.check
          ? await client.changeStorage({ check: true }, { signal })
          : await client.storage({ signal })
        output.result(view, () => tell(view, output))
      }),
    )
}

function tell(view: StorageView, output: Output): void {
  const { node, cache, care, audits, repairs, scrub, reads, peers } = view
  const line = (name: string, text: string) => output.say(`${name.padEnd(9)} ${text}`)
  const place = [node.region, node.domain === node.id ? '' : node.domain].filter(Boolean).join(', ')
  line('node', `${node.id}  ${node.state}${place ? `  ${place}` : ''}`)
  line('disk', `${bytes(node.usedBytes)} of ${bytes(node.capacityBytes)}, ${bytes(node.leasedBytes)} of it for others`)
  line('cache', `${bytes(cache.bytes)} of ${bytes(cache.maxBytes)}, ${hitRatio(reads)}`)
  line('care', `${whole(care.objects)} objects, ${whole(care.due)} to be checked now; stripes: ${stripes(care)}`)
  line(
    'audits',
    `${whole(audits.passed)} passed, ${whole(audits.failed)} failed, ${whole(audits.unanswered)} unanswered`,
  )
  line(
    'repairs',
    `${whole(care.repairsQueued)} queued; ${whole(repairs.rebuilt)} shards rebuilt, ${whole(repairs.moved)} moved, ` +
      `${bytes(repairs.bytesRead + repairs.bytesWritten)} of traffic`,
  )
  line('disk scan', `${whole(scrub.rounds)} rounds, ${whole(scrub.damaged)} blocks found damaged`)
  line('names', whole(view.names))
  if (view.leaving) line('leaving', leavingSentence(view))
  if (peers.length === 0) {
    output.say('It knows no other fog node: start it with --peer to join some.')
    return
  }
  output.say()
  const rows = peers
    .slice(0, MAX_LISTED)
    .map((peer) => [
      peer.url,
      peer.region,
      peer.isLive ? peer.state : 'silent',
      peer.standing,
      peer.audits === 0 ? '' : `${(100 * peer.score).toFixed(1)} %`,
      peer.rttMs === undefined ? '' : `${peer.rttMs.toFixed(peer.rttMs < 10 ? 1 : 0)} ms`,
      bytes(peer.freeBytes),
    ])
  output.table([['peer', 'region', 'state', 'standing', 'score', 'rtt', 'free'], ...rows], [4, 5, 6])
  if (peers.length > MAX_LISTED) output.say(`… and ${whole(peers.length - MAX_LISTED)} more`)
}

function hitRatio({ memory, disk, remote, missing }: StorageView['reads']): string {
  const all = memory + disk + remote + missing
  return all === 0
    ? 'nothing read yet'
    : `${((100 * (memory + disk)) / all).toFixed(1)} % of ${whole(all)} reads were hits`
}

function stripes({ stripesByMissing }: StorageView['care']): string {
  const told = Object.entries(stripesByMissing)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([missing, n]) => `${whole(n)} ${missing === '0' ? 'whole' : `without ${missing}`}`)
  return told.join(', ') || 'none checked yet'
}

/** How far a node that leaves is, in a sentence. */
export function leavingSentence({ leaving }: StorageView): string {
  if (!leaving) return 'It stays.'
  if (leaving.isDone) return 'All that it kept is kept elsewhere now: it may be stopped.'
  if (leaving.askedAt === undefined) return 'Its shards are being moved.'
  return `${whole(leaving.shards)} shards of ${whole(leaving.objects)} objects are still to be moved, ${whole(leaving.inCare)} objects to be handed over.`
}
