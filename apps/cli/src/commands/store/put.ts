import type { Placed, PutReport, Store, Stored } from '@pingo/client/store'
import { isPinGoError, PinGoError } from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { bytes, whole } from '../../format.ts'
import type { Output } from '../../output.ts'
import { plural, TransferView, tellFailures, withStore } from './with-store.ts'

interface PutFlags extends ClientOptions {
  name?: string
  bucket?: string
  public?: boolean
  class?: 'hot' | 'cold'
  type?: string
  force?: boolean
  acceptFewer?: boolean
}

export function putCommand({ signal }: Context): Command {
  return clientCommand('put', 'Store a file, a folder or what comes from a pipe; again after a break, it goes on.', [
    'pingo store put photos',
    'pingo store put thesis.pdf --name papers/thesis.pdf',
    'pingo store put model.onnx --public',
    'pingo store put - --name src.tar < src.tar',
  ])
    .argument('<path>', 'file or folder; - reads from a pipe')
    .option('--name <name>', "what it is called in the store (default: the file's or folder's name)")
    .option('--bucket <bucket>', "the first level of its path (default: 'files')")
    .option('--public', 'readable by everybody who knows its CID, as on IPFS (default: encrypted here, for you alone)')
    .addOption(
      new Option('--class <class>', 'hot is cached where it is read, cold is only kept').choices(['hot', 'cold']),
    )
    .option('--type <type>', 'media type, for S3 clients: image/png, text/plain …')
    .option('--accept-fewer', 'store on the nodes that answer, without waiting for the others: fewer may then fail')
    .option('--force', 'store also what has not changed since it was stored last')
    .action((path: string, flags: PutFlags) =>
      withStore(flags, { changes: true, signal }, async (store, output) => {
        const view = new TransferView(output, 'store')
        const report = await store
          .put(path === '-' ? process.stdin : path, {
            name: flags.name,
            bucket: flags.bucket,
            isPublic: flags.public,
            class: flags.class,
            contentType: flags.type,
            isForced: flags.force,
            acceptsFewer: flags.acceptFewer,
            signal,
            onProgress: (progress) => view.show(progress),
          })
          .catch((error) => {
            // the SDK knows the way out, and not what it is called here
            if (!isPinGoError(error, 'STORAGE_NODES_FEW')) throw error
            const hint = `${error.hint} Or take what there is: --accept-fewer.`
            throw new PinGoError(error.code, error.message, { hint, details: error.details, cause: error })
          })
          .finally(() => view.end())
        await tellPut(store, report, output)
      }),
    )
}

async function tellPut(store: Store, report: PutReport, output: Output): Promise<void> {
  const { stored, failed, skipped } = report
  output.result(
    {
      stored: stored.map(asJson),
      failed,
      skipped,
      ...(report.root === undefined ? {} : { root: report.root }),
    },
    () => {
      if (report.isFolder) tellFolder(report, output)
      else tellFile(stored[0]!, output)
    },
  )
  for (const { path, why } of skipped) output.note(`Skipped ${path}: ${why}.`)
  // that one node keeps all of it was said
  const results = stored.flatMap(({ result }) => (result && result.code.k + result.code.m > 1 ? [result] : []))
  const warnings = new Set(results.flatMap(({ warnings }) => warnings))
  for (const warning of warnings) output.note(`Note: ${warning}`)
  if (stored.some(({ entry }) => !entry.isPublic && entry.kind === 'file') && store.takeKeyNotice()) {
    output.note('')
    output.note(`The keys to your private data are on this machine alone, in ${store.keysFile}.`)
    output.note('A lost key is lost data: nobody can bring them back. Back them up now: `pingo store keys backup`.')
  }
  tellFailures(output, failed, 'Not stored:')
}

export function tellFile({ entry, result }: Stored, output: Output): void {
  const row = (name: string, value: string) => output.say(`${output.colour.dim(name.padEnd(7))}${value}`)
  const where = `${entry.bucket}/${entry.key}`
  output.say(result ? `Stored as ${output.colour.bold(where)}` : `${where} has not changed since it was stored.`)
  row('id', entry.isPublic ? `${idText(entry)}  (public: ipfs://${idText(entry)})` : idText(entry))
  const stored = entry.extents.reduce((sum, { storedBytes }) => sum + storedBytes, 0)
  row('size', `${bytes(entry.bytes)} (${bytes(stored)} with what keeps it safe)`)
  if (result) row('kept', keptText(result.code, result.nodes))
}

function tellFolder({ stored, root }: PutReport, output: Output): void {
  const files = stored.filter(({ entry }) => entry.kind === 'file')
  const sent = files.filter(({ result }) => result)
  const size = files.reduce((sum, { entry }) => sum + entry.bytes, 0)
  const unchanged = files.length - sent.length
  const first = stored[0]?.entry
  output.say(
    `Stored ${whole(sent.length)} ${sent.length === 1 ? 'file' : 'files'}${unchanged ? `, ${whole(unchanged)} had not changed` : ''}` +
      ` (${bytes(size)} in all)${first ? ` under ${output.colour.bold(`${first.bucket}/${first.key.split('/')[0]}`)}` : ''}`,
  )
  if (root !== undefined) output.say(`${output.colour.dim('id     ')}${root}  (public: ipfs://${root})`)
  const kinds = new Map<string, number>()
  for (const { result } of sent) {
    const text = keptText(result!.code, result!.nodes)
    kinds.set(text, (kinds.get(text) ?? 0) + 1)
  }
  for (const [text, n] of kinds)
    output.say(`${output.colour.dim('kept   ')}${kinds.size > 1 ? `${plural(n, 'file')}: ` : ''}${text}`)
}

/** How an object is kept, and what that bears. */
export function keptText({ k, m }: { k: number; m: number }, nodes: number): string {
  if (k > 1) return `${k}+${m} over ${plural(nodes, 'node')}: any ${m} may fail`
  if (m === 0) return '1 copy on 1 node: this network has one fog node for it, and the data are lost when that node is'
  return `${m + 1} copies on ${plural(m + 1, 'node')}: any ${m} may fail`
}

const idText = (entry: Placed): string =>
  entry.extents.length === 1 ? entry.extents[0]!.id : `${entry.extents.length} objects`

const asJson = ({ entry, result }: Stored) => ({
  path: `${entry.bucket}/${entry.key}`,
  kind: entry.kind,
  ids: entry.extents.map(({ id }) => id),
  bytes: entry.bytes,
  storedBytes: entry.extents.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  isPublic: entry.isPublic,
  class: entry.class,
  version: entry.version,
  unchanged: result === undefined,
  ...(result ? { code: result.code, nodes: result.nodes, warnings: result.warnings } : {}),
})
