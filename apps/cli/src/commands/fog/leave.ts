import { setTimeout as sleep } from 'node:timers/promises'
import type { StorageView } from '@pingo/wire'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, withClient } from '../../context.ts'
import { leavingSentence } from './status.ts'

const ASK_MS = 2_000

interface LeaveOptions extends ClientOptions {
  undo?: boolean
  wait: boolean
}

export function leaveCommand({ signal }: Context): Command {
  return clientCommand('leave', 'Have a fog node leave the storage network: what it keeps is moved to others first.', [
    'pingo fog leave',
    'pingo fog leave --no-wait',
    'pingo fog leave --undo',
  ])
    .option('--undo', 'stay after all')
    .option('--no-wait', 'do not wait until all is moved; `pingo fog status` says how far it is')
    .action((options: LeaveOptions) =>
      withClient(options, async (client, output) => {
        const view = await client.changeStorage({ state: options.undo ? 'active' : 'leaving' }, { signal })
        const last = options.wait && !options.undo ? await moved(view) : view
        output.result(last, () => output.say(leavingSentence(last)))

        async function moved(first: StorageView): Promise<StorageView> {
          let told = first
          let said = ''
          while (told.leaving && !told.leaving.isDone) {
            const sentence = leavingSentence(told)
            if (sentence !== said) output.note(sentence)
            said = sentence
            await sleep(ASK_MS, undefined, { signal })
            told = await client.storage({ signal })
          }
          return told
        }
      }),
    )
}
