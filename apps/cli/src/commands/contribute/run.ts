import { setPriority } from 'node:os'
import { join } from 'node:path'
import { findEndpoint } from '@pingo/client/local'
import type { Contributor, ContributorStatus, ControlPort } from '@pingo/contributor'
import {
  cameUp,
  findContributor,
  RELEASE_POLICY,
  readMachine,
  readWords,
  SettingsFile,
  settingsView,
  startInstalled,
  WORD_NAMES,
  WORDS,
  type WordName,
} from '@pingo/contributor/local'
import { type MachineView, PinGoError, sentence } from '@pingo/wire'
import { Option } from 'commander'
import type { JsonOption } from '../../context.ts'
import { bytes, count } from '../../format.ts'
import { GiveBack } from '../../local/give-back.ts'
import { handOver } from '../../local/hand-over.ts'
import { askedToEnd } from '../../local/node-life.ts'
import { createFileLogger } from '../../local/rotating-log.ts'
import { Output } from '../../output.ts'
import { version } from '../../version.ts'
import { pauseSentence } from '../../view/machine-lines.ts'
import { MachineLive, watchKeys } from '../../view/machine-live.ts'
import { PAGES } from '../fog/index.ts'
import { contributorHome } from './home.ts'

/** How long the first connection may take before the command gives up. */
const NODE_NICENESS = 10
const CONNECT_TIMEOUT_MS = 10_000
const LOOK_MS = 1_000

export interface RunOptions extends JsonOption, Partial<Record<WordName, string>> {
  fog?: string[]
  cores?: string
  home?: string
  verbose?: boolean
  withParent?: boolean
  always?: boolean
}

/** An option for each setting. */
export const settingOptions = (): Option[] =>
  WORD_NAMES.flatMap((name) => {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    const { about, example } = WORDS[name]
    const option = new Option(`--${flag} <value>`, `${about} (such as ${example})`)
    return name === 'cpu' ? [option, new Option('--cores <n>', 'the same in cores, from 0.05')] : [option]
  })

function overridesOf(o: RunOptions): Partial<Record<WordName, string>> {
  const said = WORD_NAMES.map((name) => [name, o[name]] as const).filter(([, value]) => value !== undefined)
  return {
    ...(o.cores !== undefined && { cpu: o.cores }),
    ...Object.fromEntries(said),
    ...(o.always && { when: 'always' }),
  }
}

export async function run(options: RunOptions, signal: AbortSignal): Promise<void> {
  const output = new Output(options)
  const home = contributorHome(options)
  const machine = await readMachine(home)
  const overrides = overridesOf(options)
  readWords(overrides, machine)
  const fog = options.fog?.map(multiaddr) ?? (await knownFog())
  // after what the owner may have mistyped, which is no fault of a new version
  await handOver({ entry: () => newerVersion(home), args: process.argv.slice(2), signal })
  const { Contributor, serveControl } = await import('@pingo/contributor')
  const file = await SettingsFile.open(home, { machine, overrides })
  const logger = createFileLogger(join(home, 'log'), 'contributor', options.verbose)
  const control = await serveControl({ home, pages: PAGES, logger }).catch((error) => {
    file.close()
    throw error
  })
  let contributor: Contributor | undefined
  try {
    const connected = Promise.withResolvers<void>()
    if (file.settings.when === 'idle') giveWay()
    const onChange = (status: ContributorStatus) => status.connected && connected.resolve()
    contributor = await Contributor.start({ home, fog, settings: file.settings, logger, onChange })
    const leaving = Promise.withResolvers<void>()
    const view = () => withNotices(contributor!.view(), file)
    control.attach(portOf(contributor, file, view, () => leaving.resolve()))
    await cameUp(home, version()).catch((error) => logger.warn({ error: sentence(error) }, 'update state not written'))
    file.onChange((settings) => contributor!.change(settings))
    const asked = Promise.race([askedToEnd(signal, options), leaving.promise])
    await firstConnection(connected.promise, asked, () => contributor!.status(), fog)
    if (contributor.status().connected) await work(contributor, { output, file, view, asked })
  } finally {
    const credit = contributor?.status().samplesIncluded
    const wasConnected = contributor?.status().fog !== undefined
    await contributor?.leave()
    await control.close()
    file.close()
    if (wasConnected && credit !== undefined && !output.json)
      output.note(`Left the network; ${count(credit)} samples of this machine are in trained models.`)
  }
}

/** What an update installed; not where a contributor runs already: that start fails whatever its version. */
const newerVersion = async (home: string): Promise<string | undefined> =>
  (await findContributor(home)) ? undefined : startInstalled(home, version(), RELEASE_POLICY)

/** From the first connection until its end is asked for: says that it is ready, then what it does. */
async function work(
  contributor: Contributor,
  o: { output: Output; file: SettingsFile; view: () => MachineView; asked: Promise<void> },
): Promise<void> {
  const { output, view } = o
  const { peerId } = contributor
  const { disk } = contributor.status()
  output.result({ ready: true, peerId, pid: process.pid, disk }, () => {
    if (output.live) return
    output.say(
      `Contributing as ${o.file.settings.name}; ${bytes(disk.usedBytes)} of ${bytes(disk.quotaBytes)} disk in use. Ctrl-C leaves; work that was begun is handed in.`,
    )
  })
  const left = Promise.withResolvers<void>()
  const show = output.live ? liveView(contributor, output, view, left.resolve) : changes(output, view)
  const giveBack = new GiveBack()
  const timer = setInterval(() => {
    show.look()
    giveBack.look(view().state === 'working', Date.now())
  }, LOOK_MS)
  show.look()
  try {
    await Promise.race([o.asked, contributor.closed, left.promise])
  } finally {
    clearInterval(timer)
    show.end()
  }
}

/** The view in a terminal. */
function liveView(contributor: Contributor, output: Output, view: () => MachineView, leave: () => void) {
  const live = new MachineLive(output.colour, 'p pauses or goes on, q leaves; work that was begun is handed in.')
  const look = () => live.show(view())
  const stopKeys = watchKeys((key) => {
    if (key === 'q' || key === '\x03') leave()
    if (key !== 'p') return
    if (view().pause?.reason === 'owner') contributor.resume()
    else contributor.pause()
    look()
  })
  const end = () => {
    stopKeys()
    live.end()
  }
  return { look, end }
}

/** Without a terminal: a line when something changes, JSON with --json. */
function changes(output: Output, view: () => MachineView) {
  let before: string | undefined
  const look = () => {
    const { state, pause, fog, notices } = view()
    const isOn = state === 'idle' || state === 'working'
    const now = JSON.stringify([isOn ? 'on' : state, pause?.reason, notices])
    if (before !== undefined && before !== now) {
      if (output.json) output.emit({ at: Date.now(), state, pause, notices })
      else {
        if (pause) output.note(pauseSentence(pause))
        else if (isOn) output.note('It goes on.')
        else if (state === 'offline') output.note(fog.reason ?? 'The fog node is gone; it is looked for.')
        for (const notice of notices ?? []) output.note(notice)
      }
    }
    before = now
  }
  return { look, end: () => undefined }
}

function withNotices(view: MachineView, file: SettingsFile): MachineView {
  return file.trouble ? { ...view, notices: [...(view.notices ?? []), file.trouble.slice(0, 1000)] } : view
}

/** The contributor as its owner's commands and page reach it. */
function portOf(contributor: Contributor, file: SettingsFile, view: () => MachineView, leave: () => void): ControlPort {
  const settings = () => settingsView(file.words, file.machine, { file: file.path, trouble: file.trouble })
  return {
    view,
    settings,
    change: async (said) => {
      await file.change(said)
      return settings()
    },
    pause: (until) => contributor.pause(until),
    resume: () => contributor.resume(),
    leave,
    history: (query) => contributor.history.list(query),
    earnings: () => contributor.history.earnings(),
  }
}

async function firstConnection(
  connected: Promise<void>,
  asked: Promise<void>,
  status: () => ContributorStatus,
  fog: string[],
): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    const { reason } = status()
    late.reject(
      new PinGoError('FOG_UNREACHABLE', reason ?? `No fog node answers at ${fog.join(', ')}.`, {
        hint: reason ? undefined : 'Check that it runs, that the address is whole, and that its port is open.',
      }),
    )
  }, CONNECT_TIMEOUT_MS)
  try {
    await Promise.race([connected, asked, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The control addresses of the fog node that runs on this machine. */
export async function knownFog(): Promise<string[]> {
  const { multiaddrs } = await findEndpoint()
  if (multiaddrs?.length) return multiaddrs
  throw new PinGoError('FOG_UNKNOWN', 'No fog node runs on this machine.', {
    hint: 'Name one by --fog MULTIADDR, as `pingo fog` prints it.',
  })
}

export function multiaddr(text: string): string {
  if (text.startsWith('/')) return text
  throw new PinGoError('FOG_ADDRESS_INVALID', `'${text.slice(0, 200)}' is not what contributors dial.`, {
    hint: 'They dial a multiaddr such as /ip4/192.168.1.5/tcp/7071/p2p/12D3Koo…, which the fog node prints as `join`.',
  })
}

/** The node itself is no hurry either: while the owner's programs want the CPU it gets a tenth of a core, which is enough to hand in what is done. */
function giveWay(): void {
  try {
    setPriority(NODE_NICENESS)
  } catch {
    // some systems forbid it
  }
}
