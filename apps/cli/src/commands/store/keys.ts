import { readFile, writeFile } from 'node:fs/promises'
import { homeFolder } from '@pingo/client/local'
import { Command } from 'commander'
import { readPassword } from '../../ask.ts'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { time, whole } from '../../format.ts'
import { sayWords } from '../../view/words.ts'
import { withStore } from './with-store.ts'

const MAX_BACKUP_BYTES = 16 << 10

export function keysCommand(context: Context): Command {
  return new Command('keys')
    .description('The keys to your private data: see, back up, restore. A lost key is lost data.')
    .addCommand(showCommand(context))
    .addCommand(backupCommand(context))
    .addCommand(restoreCommand(context))
    .addHelpText(
      'after',
      '\nExamples:\n  $ pingo store keys show\n  $ pingo store keys backup\n  $ pingo store keys restore',
    )
}

function showCommand({ signal }: Context): Command {
  return clientCommand('show', 'Tell who you are to the network, where your keys are and whether they are backed up.', [
    'pingo store keys show',
  ]).action((flags: ClientOptions) =>
    withStore(flags, { signal }, async (store, output) => {
      const publicKey = Buffer.from(store.keyring.publicKey).toString('base64url')
      const { at, isFresh } = store.backupState()
      const keys = { owner: store.owner, publicKey, file: store.keysFile, areKeysBackedUp: store.areKeysBackedUp }
      output.result({ ...keys, indexBackedUpAt: at, isIndexFresh: isFresh }, () => {
        const row = (name: string, value: string) => output.say(`${output.colour.dim(name.padEnd(12))}${value}`)
        row('owner', keys.owner)
        row('public key', publicKey)
        row('file', keys.file)
        row('backup', keys.areKeysBackedUp ? 'made on this machine' : 'none was made here: `pingo store keys backup`')
        row(
          'index',
          at === undefined
            ? 'nothing in the network yet'
            : `${isFresh ? 'in the network' : 'changed since its copy of'} ${time(at)}`,
        )
      })
    }),
  )
}

function backupCommand({ signal }: Context): Command {
  return clientCommand('backup', 'Show your keys as 24 words to write down, or write a file with a password.', [
    'pingo store keys backup',
    'pingo store keys backup --out pingo-keys.json',
  ])
    .option('--out <file>', 'write a file, protected by a password, instead of showing words')
    .option('--password-file <file>', 'the password is in this file (or in PINGO_PASSWORD)')
    .action((flags: ClientOptions & { out?: string; passwordFile?: string }) =>
      withStore(flags, { signal }, async (store, output) => {
        const { backupKeys } = await import('@pingo/client/store')
        if (flags.out !== undefined) {
          const password = await readPassword({ file: flags.passwordFile, question: 'Password', isNew: true })
          await writeFile(flags.out, await backupKeys(store.keyring, password), { mode: 0o600, flag: 'wx' })
          store.noteKeysBackedUp()
          return output.result({ file: flags.out }, () => {
            output.say(`Written to ${flags.out}. Keep it elsewhere than on this machine, and keep its password.`)
          })
        }
        const phrase = await backupKeys(store.keyring)
        store.noteKeysBackedUp()
        output.result({ phrase }, () => {
          sayWords(output, phrase.split(' '))
          output.note('')
          output.note(
            'Write these words down, in this order, on paper. Whoever has them can read all your private data;',
          )
          output.note('without them and this machine nobody can. `pingo store keys restore` brings everything back.')
        })
      }),
    )
}

function restoreCommand({ signal }: Context): Command {
  return clientCommand('restore', 'Bring your keys back from their backup, and with them all that you store.', [
    'pingo store keys restore',
    'pingo store keys restore < words.txt',
    'pingo store keys restore pingo-keys.json',
  ])
    .argument('[file]', 'a backup file (default: asks for the 24 words)')
    .option('--password-file <file>', "the backup's password is in this file (or in PINGO_PASSWORD)")
    .action(async (file: string | undefined, flags: ClientOptions & { passwordFile?: string }) => {
      const { restoreKeys } = await import('@pingo/client/store')
      if (file === undefined) await restoreKeys(homeFolder(), { phrase: await readPhrase() })
      else {
        const text = await readFile(file, 'utf8')
        const password = await readPassword({ file: flags.passwordFile, question: "The backup's password" })
        await restoreKeys(homeFolder(), { file: text, password })
      }
      await withStore(flags, { signal }, async (store, output) => {
        store.noteKeysBackedUp()
        output.note(`The keys of ${store.owner} are back.`)
        await store.sync({ signal })
        const { entries } = store.totals()
        output.result({ owner: store.owner, entries }, () =>
          output.say(
            entries === 0
              ? 'The network has no index for them yet.'
              : `Your index is back: ${whole(entries)} ${entries === 1 ? 'entry' : 'entries'}. See \`pingo store ls\`.`,
          ),
        )
      })
    })
}

async function readPhrase(): Promise<string> {
  const { askHidden, readInput } = await import('../../ask.ts')
  return (await askHidden('The 24 words (they are not shown): ')) ?? (await readInput(MAX_BACKUP_BYTES))
}
