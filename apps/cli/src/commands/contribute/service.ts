import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { homeFolder } from '@pingo/client/local'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { type Service, serviceFor } from '../../local/service-files.ts'
import { Output } from '../../output.ts'
import { type HomeOptions, ownerCommand } from './home.ts'
import { multiaddr } from './run.ts'

const COMMAND = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'bin', 'pingo.js')
const RUN_MS = 30_000

interface ServiceCommandOptions extends HomeOptions {
  fog?: string[]
  print?: boolean
}

export function installServiceCommand(_: Context): Command {
  return ownerCommand(
    'install-service',
    'Have the contributor start by itself with your session, at the lowest priority.',
    [
      'pingo contribute install-service',
      'pingo contribute install-service --fog /ip4/192.168.1.5/tcp/7071/p2p/12D3Koo…',
      'pingo contribute install-service --print',
    ],
  )
    .option('--fog <multiaddr...>', 'address of a fog node (default: the one that runs on this machine)')
    .option('--print', 'only print what would be installed')
    .action(async (options: ServiceCommandOptions) => {
      const output = new Output(options)
      const service = serviceOf(options)
      if (options.print) {
        output.result(service, () => output.say(service.text.trimEnd()))
        return
      }
      await mustHaveManager()
      await mkdir(dirname(service.file), { recursive: true })
      // Windows' Task Scheduler takes UTF-16
      await writeFile(
        service.file,
        process.platform === 'win32' ? Buffer.from(`\ufeff${service.text}`, 'utf16le') : service.text,
      )
      for (const words of service.enable) await runTool(words)
      output.result({ installed: service.file }, () => {
        output.say(`Installed: ${service.file}`)
        output.say(
          'It runs now and with each session. `pingo contribute status` shows it, `uninstall-service` removes it.',
        )
        if (process.platform === 'linux')
          output.say('For it to run while you are logged out too: loginctl enable-linger')
      })
    })
}

export function uninstallServiceCommand(_: Context): Command {
  return ownerCommand('uninstall-service', 'Take back what install-service did; the contributor leaves first.', [
    'pingo contribute uninstall-service',
    'pingo contribute uninstall-service --print',
  ])
    .option('--print', 'only print what would be done')
    .action(async (options: ServiceCommandOptions) => {
      const output = new Output(options)
      const service = serviceOf(options)
      if (options.print) {
        const { disable, file } = service
        output.result({ disable, file }, () => {
          for (const words of disable) output.say(words.join(' '))
          output.say(`remove ${file}`)
        })
        return
      }
      if (!existsSync(service.file))
        throw new PinGoError('SERVICE_ABSENT', 'No service of a contributor is installed here.', {
          hint: `Looked for ${service.file}.`,
        })
      await mustHaveManager()
      for (const words of service.disable) await runTool(words)
      await rm(service.file, { force: true })
      output.result({ removed: service.file }, () => output.say(`Removed: ${service.file}`))
    })
}

function serviceOf(o: ServiceCommandOptions): Service {
  const fog = o.fog?.map(multiaddr)
  const args = [...(fog ? ['--fog', ...fog] : []), ...(o.home ? ['--home', o.home] : [])]
  const service = serviceFor(process.platform, { node: process.execPath, command: COMMAND, args, home: homeFolder() })
  if (service) return service
  throw new PinGoError('SERVICE_UNKNOWN', `Services of ${process.platform} are not known.`, {
    hint: 'Have your service manager run `pingo contribute`.',
  })
}

/** In containers and on small systems there is none, or none of the user. */
async function mustHaveManager(): Promise<void> {
  const asked = {
    linux: ['systemctl', '--user', 'show-environment'],
    darwin: ['launchctl', 'version'],
    win32: ['schtasks', '/Query', '/TN', '\\', '/FO', 'LIST'],
  }[process.platform as string]
  if (!asked || process.platform === 'win32') return
  try {
    await promisify(execFile)(asked[0]!, asked.slice(1), { timeout: RUN_MS })
  } catch (cause) {
    throw new PinGoError(
      'SERVICE_MANAGER_ABSENT',
      `There is no service manager of yours here (${asked[0]} does not answer).`,
      {
        hint: 'Run `pingo contribute` as you run other programs; `install-service --print` shows what would be installed.',
        cause,
      },
    )
  }
}

async function runTool([tool, ...args]: string[]): Promise<void> {
  try {
    await promisify(execFile)(tool!, args, { timeout: RUN_MS })
  } catch (cause) {
    const { stderr } = cause as { stderr?: string }
    const why = stderr?.trim().split('\n')[0] || (cause as Error).message
    throw new PinGoError('SERVICE_FAILED', `\`${[tool, ...args].join(' ')}\` failed: ${why}`, { cause })
  }
}
