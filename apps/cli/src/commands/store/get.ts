import { once } from 'node:events'
import type { Command } from 'commander'
import { readPassword } from '../../ask.ts'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { bytes, whole } from '../../format.ts'
import { rangeFrom, TransferView, tellFailures, withStore } from './with-store.ts'

interface GetFlags extends ClientOptions {
  out?: string
  range?: { start?: number; end?: number }
  force?: boolean
  passwordFile?: string
}

export function getCommand({ signal }: Context): Command {
  return clientCommand('get', 'Fetch a file or folder; again after a break, it goes on where it was.', [
    'pingo store get photos --out /tmp/photos',
    'pingo store get files/thesis.pdf',
    'pingo store get bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi --out model.onnx',
    'pingo store get pingo://share/…',
    'pingo store get big.bin --range 0-1023 --out -',
  ])
    .argument('<what>', 'path in the store, CID, CID/PATH, a name (k51…, k51…@VERSION), or a link')
    .option('--out <path>', 'file or folder to write; - writes to stdout (default: its name, here)')
    .option('--range <bytes>', 'only these bytes: 0-99, 100- or -50', rangeFrom)
    .option('--force', 'replace files that are there')
    .option('--password-file <file>', 'the password of a link (or PINGO_PASSWORD)')
    .action((what: string, flags: GetFlags) =>
      withStore(flags, { signal }, async (store, output) => {
        const attempt = async <T>(work: (password?: string) => Promise<T>): Promise<T> => {
          try {
            return await work()
          } catch (error) {
            if ((error as { code?: string }).code !== 'LINK_PASSWORD_MISSING') throw error
            return await work(await readPassword({ file: flags.passwordFile, question: "The link's password" }))
          }
        }
        if (flags.out === '-')
          return await attempt(async (password) => {
            for await (const part of store.read(what, flags.range, { signal, password }))
              if (!process.stdout.write(part)) await once(process.stdout, 'drain', { signal })
          })
        const view = new TransferView(output, 'fetch')
        const onProgress = view.show.bind(view)
        const report = await attempt((password) =>
          store.get(what, { out: flags.out, range: flags.range, isForced: flags.force, password, signal, onProgress }),
        ).finally(() => view.end())
        output.result(report, () => {
          const { path, files, unchanged } = report
          if (!report.isFolder)
            return output.say(unchanged ? `${path} is there already.` : `${path}  ${bytes(report.bytes)}`)
          const there = unchanged ? `, ${whole(unchanged)} were there already` : ''
          output.say(`${path}  ${whole(files)} ${files === 1 ? 'file' : 'files'}, ${bytes(report.bytes)}${there}`)
        })
        tellFailures(output, report.failed, 'Not fetched:')
      }),
    )
}
