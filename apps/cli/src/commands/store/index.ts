import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { carCommand } from './car.ts'
import { doctorCommand } from './doctor.ts'
import { getCommand } from './get.ts'
import { keysCommand } from './keys.ts'
import { listCommand, statCommand, usageCommand } from './look.ts'
import { pinCommand, proveCommand, removeCommand, shareCommand } from './manage.ts'
import { nameCommand } from './name.ts'
import { putCommand } from './put.ts'
import { serveCommand } from './serve.ts'

export function storeCommand(context: Context): Command {
  const commands = [
    putCommand,
    getCommand,
    listCommand,
    statCommand,
    removeCommand,
    shareCommand,
    pinCommand,
    proveCommand,
    usageCommand,
    doctorCommand,
    keysCommand,
    carCommand,
    nameCommand,
    serveCommand,
  ]
  const store = new Command('store').description('Keep files in the network, private by default, and get them back.')
  for (const create of commands) store.addCommand(create(context))
  return store.addHelpText(
    'after',
    '\nExamples:\n  $ pingo store put photos                  # encrypted here, spread over the fog nodes\n' +
      '  $ pingo store ls\n  $ pingo store get photos --out /tmp/photos\n' +
      '  $ pingo store share photos/cat.jpg        # a link for somebody else\n' +
      '  $ pingo store keys backup                 # a lost key is lost data\n' +
      '  $ pingo store serve                       # for aws-cli, rclone and their like',
  )
}
