import { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand } from '../../context.ts'
import { time } from '../../format.ts'
import { withStore } from './with-store.ts'

const NAME = 'k51…, or what you call one of yours'

export function nameCommand(context: Context): Command {
  return new Command('name')
    .description('Names that stay the same while what they point to changes (IPNS).')
    .addCommand(publishCommand(context))
    .addCommand(resolveCommand(context))
    .addCommand(versionsCommand(context))
    .addCommand(namesCommand(context))
    .addHelpText(
      'after',
      '\nExamples:\n  $ pingo store name publish my-model model.onnx\n  $ pingo store name versions my-model\n' +
        '  $ pingo store get k51…                    # the newest version\n  $ pingo store get k51…@3                  # the fourth',
    )
}

function publishCommand({ signal }: Context): Command {
  return clientCommand('publish', 'Point one of your names to what is stored; the first time, the name is made.', [
    'pingo store name publish my-model model.onnx',
    'pingo store name publish photos bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
  ])
    .argument('<label>', 'what you call the name')
    .argument('<what>', 'path in the store, or CID')
    .action((label: string, what: string, flags: ClientOptions) =>
      withStore(flags, { changes: true, signal }, async (store, output) => {
        const own = await store.publish(label, what, { signal })
        output.result(own, () => {
          output.say(`${own.name}  version ${own.version.sequence}  ${own.version.value}`)
          output.note(
            `It is good until ${time(own.version.validUntil)}; \`pingo store doctor\` renews it. Anybody who knows the name sees what it points to.`,
          )
        })
      }),
    )
}

function resolveCommand({ signal }: Context): Command {
  return clientCommand('resolve', 'Tell what a name points to now.', ['pingo store name resolve my-model'])
    .argument('<name>', NAME)
    .action((text: string, flags: ClientOptions) =>
      withStore(flags, { signal }, async (store, output) => {
        const { name, versions } = await store.versions(text, { signal })
        const [newest] = versions
        output.result({ name, ...newest! }, () => output.say(newest!.value))
      }),
    )
}

function versionsCommand({ signal }: Context): Command {
  return clientCommand('versions', 'List the versions of a name, newest first; get one by NAME@VERSION.', [
    'pingo store name versions my-model',
  ])
    .argument('<name>', NAME)
    .action((text: string, flags: ClientOptions) =>
      withStore(flags, { signal }, async (store, output) => {
        const found = await store.versions(text, { signal })
        output.result(found, () => {
          output.say(output.colour.bold(found.name))
          const rows = found.versions.map(({ sequence, value, validUntil }) => [`${sequence}`, time(validUntil), value])
          output.table([['VERSION', 'GOOD UNTIL', 'POINTS TO'], ...rows], [0])
        })
      }),
    )
}

function namesCommand({ signal }: Context): Command {
  return clientCommand('ls', 'List your names.', ['pingo store name ls']).action((flags: ClientOptions) =>
    withStore(flags, { signal }, async (store, output) => {
      const names = store.names()
      output.result({ names }, () => {
        if (names.length === 0)
          return output.say('You have published nothing yet: `pingo store name publish LABEL WHAT`.')
        const rows = names.map(({ label, name, version }) => [
          label,
          `${version.sequence}`,
          time(version.validUntil),
          name,
        ])
        output.table([['LABEL', 'VERSION', 'GOOD UNTIL', 'NAME'], ...rows], [1])
      })
    }),
  )
}
