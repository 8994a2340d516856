import { readdir, readFile, writeFile } from 'node:fs/promises'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { CONTROL_FILE, findContributor, SETTINGS_FILE } from '@pingo/contributor/local'
import { sentence } from '@pingo/wire'
import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { redact } from '../../local/redact.ts'
import { Output } from '../../output.ts'
import { version } from '../../version.ts'
import { checkAll } from './checks.ts'
import { contributorHome, type HomeOptions, ownerCommand } from './home.ts'

const LOG_FILES = 2
const MAX_LOG_BYTES = 512 * 1024
const MAX_LEASES = 100

export function diagnosticsCommand(_: Context): Command {
  return ownerCommand(
    'diagnostics',
    'Write one file for a report: what runs, checks, logs; without keys, tokens and addresses.',
    ['pingo contribute diagnostics', 'pingo contribute diagnostics --output report.json'],
  )
    .option('--output <file>', 'where it goes', 'pingo-diagnostics.json')
    .action(async (options: HomeOptions & { output: string }) => {
      const output = new Output(options)
      const home = contributorHome(options)
      const bundle = redact(await collect(home), await secretsOf(home))
      const file = resolve(options.output)
      await writeFile(file, `${JSON.stringify(bundle, undefined, 2)}\n`, { mode: 0o600 })
      output.result({ file }, () => {
        output.say(
          `Written to ${file}. Keys, tokens, names and addresses are left out; have a look before you send it.`,
        )
      })
    })
}

async function collect(home: string): Promise<unknown> {
  const attempt = <T>(work: Promise<T>) => work.catch((error: unknown) => ({ failed: sentence(error) }))
  const running = await attempt(findContributor(home))
  const client = running && 'view' in running ? running : undefined
  return {
    at: new Date().toISOString(),
    version: version(),
    node: process.version,
    system: { platform: platform(), release: release(), arch: arch(), cpu: cpus()[0]?.model, memoryBytes: totalmem() },
    checks: await attempt(checkAll({ home, version: version() })),
    settings: await attempt(readFile(join(home, SETTINGS_FILE), 'utf8').then(withoutName)),
    view: client && (await attempt(client.view().then((view) => ({ ...view, name: undefined })))),
    history: client && (await attempt(client.history({ limit: MAX_LEASES }))),
    files: await attempt(readdir(home)),
    logs: await attempt(logs(join(home, 'log'))),
  }
}

/** How the owner calls the machine is the owner's. */
const withoutName = (settings: string): string => settings.replace(/("name"\s*:\s*")(?:[^"\\]|\\.)*/g, '$1')

async function logs(folder: string): Promise<Record<string, string[]>> {
  const names = ['contributor.log', ...Array.from({ length: LOG_FILES - 1 }, (_, n) => `contributor.${n + 1}.log`)]
  const read = async (name: string) => {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '')
    return [name, text.slice(-MAX_LOG_BYTES).trimEnd().split('\n')] as const
  }
  return Object.fromEntries(await Promise.all(names.map(read)))
}

/** What must not be in it whatever it looks like: what stands in this home's secret files. */
async function secretsOf(home: string): Promise<string[]> {
  const found: string[] = []
  const key = await readFile(join(home, 'identity.key')).catch(() => undefined)
  if (key) for (const form of ['hex', 'base64', 'base64url', 'latin1'] as const) found.push(key.toString(form))
  try {
    const { token } = JSON.parse(await readFile(join(home, CONTROL_FILE), 'utf8')) as { token?: unknown }
    if (typeof token === 'string') found.push(token)
  } catch {
    // none runs
  }
  return found
}
