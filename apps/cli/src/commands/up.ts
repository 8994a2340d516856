import { join } from 'node:path'
import { homeFolder } from '@pingo/client/local'
import { PinGoError } from '@pingo/wire'
import { type Command, Option } from 'commander'
import { type Context, command, type JsonOption, numberFrom, port } from '../context.ts'
import { startNetwork } from '../local/network.ts'
import { askedToEnd } from '../local/node-life.ts'
import { Output } from '../output.ts'

interface UpOptions extends JsonOption {
  contributors: number
  fogNodes: number
  port: number
  withParent?: boolean
}

export const MAX_LOCAL_CONTRIBUTORS = 64
/** As many as an object has shards, and some that may fail. */
const MAX_LOCAL_FOG_NODES = 24

export function upCommand({ signal }: Context): Command {
  return command('up', 'Start a local network: a fog node and some contributors on this machine.', [
    'pingo up',
    'pingo up --contributors 2 --port 7070',
    'pingo up --fog-nodes 5 --contributors 0   # a storage network to try `pingo store` on',
    'pingo up --json   # one line with the address and the token once all are there',
  ])
    .option('--contributors <n>', 'how many contributors', numberFrom(0, MAX_LOCAL_CONTRIBUTORS, { integer: true }), 2)
    .option(
      '--fog-nodes <n>',
      'how many fog nodes, which keep data together',
      numberFrom(1, MAX_LOCAL_FOG_NODES, { integer: true }),
      1,
    )
    .option('--port <port>', 'port of the gateway and the dashboard; 0 takes a free one', port, 7070)
    .addOption(new Option('--with-parent').hideHelp())
    .action((options: UpOptions) => up(options, signal))
}

async function up(options: UpOptions, signal: AbortSignal): Promise<void> {
  const output = new Output(options)
  const home = homeFolder()
  const network = await startNetwork({
    home: join(home, 'local'),
    connectionHome: home,
    contributors: options.contributors,
    fogNodes: options.fogNodes,
    port: options.port,
    signal,
    onLost: (what) => output.note(`pingo: ${what}`),
  })
  try {
    const { url, token, multiaddrs, fog, others, contributors } = network
    const pidsOf = (children: typeof others) => children.map(({ pid }) => pid)
    const pids = { fog: fog.pid, fogNodes: pidsOf(others), contributors: pidsOf(contributors) }
    output.result({ ready: true, url, token, multiaddrs, pids }, () => {
      const n = contributors.length
      const fogs = others.length === 0 ? 'A fog node' : `${others.length + 1} fog nodes`
      output.say(`${fogs} and ${n} ${n === 1 ? 'contributor' : 'contributors'} are up.`)
      output.say(`dashboard  ${url}`)
      if (others.length > 0) output.say('store      npx pingo store put FILE')
      output.say('train      npx pingo train examples/tabular/job.yaml')
      output.say(`join       npx pingo contribute --fog ${multiaddrs[0]}`)
      output.say('Ctrl-C ends them.')
    })
    const broken = await Promise.race([askedToEnd(signal, options), network.broken])
    if (broken)
      throw new PinGoError('FOG_ENDED', broken, { hint: 'Start again with `pingo up`; jobs go on where they were.' })
  } finally {
    await network.stop()
  }
}
