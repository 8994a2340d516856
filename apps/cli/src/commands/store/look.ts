import type { Placed } from '@pingo/client/store'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { bytes, count, time, whole } from '../../format.ts'
import { withStore } from './with-store.ts'

const NANO = 1_000_000_000n

export function listCommand({ signal }: Context): Command {
  return clientCommand('ls', 'List what you store.', [
    'pingo store ls',
    'pingo store ls photos',
    'pingo store ls files/ --recursive --json',
  ])
    .argument('[path]', 'a bucket, folder or file (default: all)')
    .option('-r, --recursive', 'also what lies in folders')
    .option('--sync', 'hear first what your other machines stored')
    .action((path: string | undefined, flags: ClientOptions & { recursive?: boolean; sync?: boolean }) =>
      withStore(flags, { signal }, async (store, output) => {
        if (flags.sync) await store.sync({ signal })
        const listings = store.list(path, { isRecursive: flags.recursive })
        const entries = listings.flatMap(({ listing }) => listing.entries)
        const folders = listings.flatMap(({ bucket, listing }) =>
          // a bucket in which nothing lies is there all the same
          (listing.entries.length + listing.prefixes.length === 0 ? [''] : listing.prefixes).map(
            (prefix) => `${bucket}/${prefix}`,
          ),
        )
        output.result({ entries: entries.map(asJson), folders }, () => {
          if (listings.length === 0)
            return output.say('Nothing is stored yet; store something with `pingo store put PATH`.')
          const rows = [
            ...folders.map((folder) => ['', '', '', folder]),
            ...entries.map((entry) => [
              bytes(entry.bytes),
              time(entry.at),
              kindOf(entry),
              `${entry.bucket}/${entry.key}`,
            ]),
          ]
          if (rows.length === 0) return output.say('It is empty.')
          output.table([['SIZE', 'STORED', 'FOR', 'PATH'], ...rows.sort((a, b) => (a[3]! < b[3]! ? -1 : 1))], [0])
        })
      }),
    )
}

export function statCommand({ signal }: Context): Command {
  return clientCommand('stat', 'Tell all about an entry: where and how it is kept, and its health.', [
    'pingo store stat thesis.pdf',
    'pingo store stat files/thesis.pdf --json',
  ])
    .argument('<what>', 'path in the store, or CID')
    .action((what: string, flags: ClientOptions) =>
      withStore(flags, { signal }, async (store, output) => {
        const { entry, objects } = await store.stat(what, { signal })
        const { keptAs } = await import('@pingo/client/store')
        const seen = objects.map(({ id, manifest, health, caretakers, risks, storedBytes, class: kind }) => ({
          id,
          kept: keptAs(manifest.code.k, manifest.code.m),
          stripes: manifest.stripes,
          storedBytes,
          class: kind,
          checkedAt: health.checkedAt,
          stripesByShards: health.stripesByShards,
          caretakers: { there: caretakers.filter(({ cares }) => cares).length, of: caretakers.length },
          risks,
        }))
        output.result({ entry: entry && asJson(entry), objects: seen }, () => {
          const row = (name: string, value: string | undefined) => {
            if (value) output.say(`${output.colour.dim(name.padEnd(11))}${value}`)
          }
          if (entry) {
            output.say(output.colour.bold(`${entry.bucket}/${entry.key}`))
            row('size', `${bytes(entry.bytes)} (${whole(entry.bytes)} bytes)`)
            row('for', entry.isPublic ? 'everybody who knows its CID' : 'you alone')
            row('stored', `${time(entry.at)}${entry.version > 1 ? ` (version ${entry.version})` : ''}`)
            row('type', entry.headers['content-type'])
            for (const [name, value] of Object.entries(entry.metadata)) row(name, value)
          }
          for (const object of seen) {
            row('id', object.id)
            row('kept', `as ${object.kept}, ${bytes(object.storedBytes)} in all, ${object.class}`)
            row('caretakers', `${object.caretakers.there} of ${object.caretakers.of} answer`)
            row('checked', object.checkedAt === undefined ? 'not yet' : time(object.checkedAt))
            for (const risk of object.risks) row('at risk', risk)
          }
        })
      }),
    )
}

export function usageCommand({ signal }: Context): Command {
  return clientCommand('usage', 'Tell how much you store, where, how much more you may, and what it costs.', [
    'pingo store usage',
    'pingo store usage --json',
  ]).action((flags: ClientOptions) =>
    withStore(flags, { signal }, async (store, output) => {
      const usage = await store.usage({ signal })
      const monthly = Number(usage.monthly) / Number(NANO)
      output.result({ ...usage, monthly: String(usage.monthly) }, () => {
        const row = (name: string, value: string) => output.say(`${output.colour.dim(name.padEnd(11))}${value}`)
        row('entries', `${whole(usage.entries)}, ${bytes(usage.bytes)}`)
        row('stored', `${bytes(usage.storedBytes)} with parity and copies`)
        const { allowance } = usage
        row(
          'allowance',
          allowance
            ? `${bytes(allowance.bytes)} at each node, until ${time(allowance.until)}`
            : 'none: storing needs the token of a fog node',
        )
        row('cost', usage.monthly === 0n ? 'nothing' : `${count(monthly)} PINGO a month, at the prices of today`)
        row('owner', usage.owner)
        if (usage.nodes.length) {
          output.say()
          output.table(
            [
              ['NODE', 'REGION', 'YOURS', 'OBJECTS IN CARE', 'PINGO/GiB/MONTH'],
              ...usage.nodes.map((node) => [
                node.url,
                node.region || '–',
                bytes(node.bytes),
                whole(node.objects),
                count(node.price / Number(NANO)),
              ]),
            ],
            [2, 3, 4],
          )
        }
        for (const url of usage.silent) output.note(`${url} did not answer.`)
      })
    }),
  )
}

const kindOf = ({ isPublic, kind }: Placed): string => (kind === 'file' ? (isPublic ? 'everybody' : 'you') : '')

export const asJson = (entry: Placed) => ({
  path: `${entry.bucket}/${entry.key}`,
  kind: entry.kind,
  ids: entry.extents.map(({ id }) => id),
  bytes: entry.bytes,
  storedBytes: entry.extents.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  isPublic: entry.isPublic,
  class: entry.class,
  etag: entry.etag,
  headers: entry.headers,
  metadata: entry.metadata,
  created: entry.created,
  stored: entry.at,
  version: entry.version,
})
