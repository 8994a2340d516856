import { parseDuration } from '@pingo/client/local'
import type { Command } from 'commander'
import { readPassword } from '../../ask.ts'
import { type ClientOptions, type Context, clientCommand, numberFrom } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { duration, time, whole } from '../../format.ts'
import { tellFile } from './put.ts'
import { durationFrom, TransferView, withStore } from './with-store.ts'

export function removeCommand({ signal }: Context): Command {
  return clientCommand('rm', 'Remove a file, or with --recursive a folder; the network forgets it.', [
    'pingo store rm thesis.pdf',
    'pingo store rm photos --recursive',
  ])
    .argument('<what>', 'path in the store, or CID')
    .option('-r, --recursive', 'all that lies below it')
    .action((what: string, flags: ClientOptions & { recursive?: boolean }) =>
      withStore(flags, { changes: true, signal }, async (store, output) => {
        const removed = await store.remove(what, { isRecursive: flags.recursive, signal })
        output.result({ removed: removed.map(({ bucket, key }) => `${bucket}/${key}`) }, () => {
          const [first] = removed
          if (removed.length === 1) output.say(`Removed ${first!.bucket}/${first!.key}.`)
          else output.say(`Removed ${whole(removed.length)} entries.`)
        })
      }),
    )
}

export function shareCommand({ signal }: Context): Command {
  return clientCommand('share', 'Make a link that lets others read one private file until it ends.', [
    'pingo store share thesis.pdf',
    'pingo store share thesis.pdf --expires 1d',
    'pingo store share thesis.pdf --password-file secret.txt',
  ])
    .argument('<what>', 'path in the store, or CID')
    .option('--expires <time>', 'when it ends: 30m, 12h, 7d (default: 7d)', durationFrom(parseDuration))
    .option('--password', 'ask for a password that readers must know too')
    .option('--password-file <file>', 'the password is in this file')
    .action((what: string, flags: ClientOptions & { expires?: number; password?: boolean; passwordFile?: string }) =>
      withStore(flags, { signal }, async (store, output) => {
        const password =
          flags.password || flags.passwordFile !== undefined
            ? await readPassword({ file: flags.passwordFile, question: 'Password of the link', isNew: true })
            : undefined
        const until = flags.expires === undefined ? undefined : Date.now() + flags.expires
        const shared = await store.share(what, { until, password, signal })
        output.result(shared, () => {
          output.say(shared.link)
          output.note(`Reads ${shared.name} until ${time(shared.until)}: \`pingo store get LINK\`.`)
          output.note('Whoever reads it may keep it: its end stops new readers, not those who have the data.')
        })
      }),
    )
}

export function pinCommand({ signal }: Context): Command {
  return clientCommand('pin', 'Keep public data, also those of somebody else, until you remove them.', [
    'pingo store pin bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi --name model.onnx',
  ])
    .argument('<cid>', 'the content address')
    .option('--name <name>', 'what it is called in the store (default: its CID)')
    .action((cid: string, flags: ClientOptions & { name?: string }) =>
      withStore(flags, { changes: true, signal }, async (store, output) => {
        const view = new TransferView(output, 'store')
        const { stored, renamed } = await store
          .pin(cid, { name: flags.name, signal, onProgress: (progress) => view.show(progress) })
          .finally(() => view.end())
        output.result({ stored: stored.map(({ entry }) => `${entry.bucket}/${entry.key}`), renamed }, () => {
          for (const each of stored) tellFile(each, output)
          for (const { from, to } of renamed)
            output.note(`${from} is cut into other blocks; its bytes are kept under ${to}.`)
        })
      }),
    )
}

export function proveCommand({ signal }: Context): Command {
  return clientCommand('prove', 'Let the nodes prove that they have what they should, by random challenges.', [
    'pingo store prove thesis.pdf',
    'pingo store prove thesis.pdf --challenges 100',
  ])
    .argument('<what>', 'path in the store, or CID')
    .option('--challenges <n>', 'how many for each object', numberFrom(1, 10_000, { integer: true }), 16)
    .action((what: string, flags: ClientOptions & { challenges: number }) =>
      withStore(flags, { signal }, async (store, output) => {
        const { name, proofs, holds, fails } = await store.prove(what, { challenges: flags.challenges, signal })
        output.result({ name, holds, fails, proofs }, () => {
          output.table(
            [
              ['NODE', 'STRIPE', 'SHARD', 'LEAF', 'TOOK', 'PROOF'],
              ...proofs.map((proof) => [
                proof.peerId ?? '–',
                String(proof.stripe),
                String(proof.shard),
                String(proof.leaf),
                duration(proof.ms),
                proof.holds ? 'holds' : `fails: ${proof.reason ?? 'wrong'}`,
              ]),
            ],
            [1, 2, 3, 4],
          )
          output.say()
          output.say(
            fails === 0
              ? `All ${whole(holds)} challenges were met: the nodes have what they should.`
              : `${whole(fails)} of ${whole(holds + fails)} challenges failed; see \`pingo store doctor\` for what that means.`,
          )
        })
        if (fails > 0) throw new Exit(EXIT.failed)
      }),
    )
}
