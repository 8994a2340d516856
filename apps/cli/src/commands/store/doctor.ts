import type { Finding } from '@pingo/client/store'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { bytes, time, whole } from '../../format.ts'
import { ProgressView } from '../../view/progress.ts'
import { plural, withStore } from './with-store.ts'

/** Files that are told one by one. */
const SHOWN = 20

export function doctorCommand({ signal }: Context): Command {
  return clientCommand('doctor', 'See how your data are: shards, caretakers, keys, backup; mend what can be mended.', [
    'pingo store doctor',
    'pingo store doctor photos',
    'pingo store doctor --no-mend --json',
  ])
    .argument('[path]', 'only what lies here (default: all)')
    .option('--no-mend', 'only look: renew and republish nothing')
    .action((path: string | undefined, flags: ClientOptions & { mend: boolean }) =>
      withStore(flags, { signal }, async (store, output) => {
        const view = new ProgressView(output)
        const onProgress = (done: number, total: number) =>
          view.show({ stage: 'check', message: `Looking at ${plural(total, 'object')}`, done, total })
        const report = await store.doctor({ path, mends: flags.mend, onProgress, signal }).finally(() => view.end())
        const { findings, backup } = report
        const isWell = findings.every(({ health }) => health === 'well' || health === 'mended') && backup.isFresh
        output.result({ isWell, ...report }, () => {
          const ill = findings.filter(({ health }) => health !== 'well')
          const size = findings.reduce((sum, finding) => sum + finding.bytes, 0)
          for (const finding of ill.slice(0, SHOWN)) tell(finding)
          if (ill.length > SHOWN) output.say(`… and ${whole(ill.length - SHOWN)} more (--json has them all)`)
          const well = findings.length - ill.length
          output.say(
            findings.length === 0
              ? 'Nothing is stored.'
              : `${whole(well)} of ${plural(findings.length, 'file')} ${well === 1 ? 'is' : 'are'} well (${bytes(size)} in all), with ${plural(report.nodes, 'node')} in sight.`,
          )
          if (report.silentNodes > 0)
            output.say(
              `${plural(report.silentNodes, 'known node')} ${report.silentNodes === 1 ? 'does' : 'do'} not answer; what is lost with them is repaired when they stay away.`,
            )
          const exposed = findings.filter(({ isOnOneNode }) => isOnOneNode).length
          if (exposed > 0)
            output.say(
              `${exposed === findings.length ? 'All' : whole(exposed)} of it is kept on one node alone and lost with it; when there are more, put it again with --force.`,
            )
          output.say(
            backup.isFresh
              ? `The index is backed up${backup.at === undefined ? '' : ` (${time(backup.at)})`}.`
              : `The index is not backed up: ${backup.note ?? 'it is tried again with the next command.'}`,
          )
          for (const { label, note } of report.names ?? [])
            if (note) output.say(`The name '${label}' could not be renewed: ${note}`)
          if (!store.areKeysBackedUp)
            output.say('Your keys are on this machine alone, as far as is known here: `pingo store keys backup`.')
          if (report.garbage > 0)
            output.say(`The network is still to forget ${plural(report.garbage, 'removed object')}.`)
        })
        if (!isWell) throw new Exit(EXIT.failed)

        function tell({ path, health, kept, shards, caretakers, notes }: Finding): void {
          const paint =
            health === 'lost' ? output.colour.red : health === 'mended' ? output.colour.green : output.colour.yellow
          output.say(`${paint(health.toUpperCase())}  ${path}`)
          if (kept)
            output.say(
              `  ${kept}${shards ? `, ${shards.left} of ${shards.of} shards of its worst stripe` : ''}, ${caretakers.there} of ${caretakers.of} caretakers`,
            )
          for (const note of notes) output.say(`  ${note}`)
        }
      }),
    )
}
