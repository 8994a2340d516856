import { resolve } from 'node:path'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, withClient } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { shortId, whole } from '../../format.ts'
import type { PublishFlags } from '../../publish.ts'
import { fetchInto } from '../train.ts'
import { findJob } from './find.ts'

const ID = "the job's id, the beginning of it, its name, or last"

export function stopCommand({ signal }: Context): Command {
  return clientCommand('stop', 'End a job; what was trained until then stays in its last checkpoint.', [
    'pingo job stop last',
  ])
    .argument('<id>', ID)
    .action((id: string, options: ClientOptions) =>
      withClient(options, async (client, output) => {
        const { id: found } = await findJob(client, id, signal)
        const job = await client.stop(found, { signal })
        output.result(job, () => output.say(`Job ${job.id} is ${job.state}.`))
      }),
    )
}

export function getCommand({ signal }: Context): Command {
  return clientCommand(
    'get',
    "Fetch a done job's model.onnx, checkpoint.safetensors and model.json; each block is checked.",
    ['pingo job get last', 'pingo job get 4f1c --output ./model', 'pingo job get last --publish my-model'],
  )
    .argument('<id>', ID)
    .alias('result')
    .option('--output <folder>', 'folder for the files (default: result-NAME here)')
    .option('--publish <label>', 'store the trained model and point this name of yours to it, as its newest version')
    .option('--public', 'with --publish: readable by everybody who knows the name (default: encrypted, for you alone)')
    .action((id: string, options: PublishFlags & { output?: string }) =>
      withClient(options, async (client, output) => {
        const job = await findJob(client, id, signal)
        const folder = options.output ?? `result-${job.name.replace(/[^\p{L}\p{N}._-]+/gu, '-')}`
        await fetchInto(client, job, resolve(folder), output, signal, options)
      }),
    )
}

export function verifyCommand({ signal }: Context): Command {
  return clientCommand('verify', "Recount a job's ledger: every batch once, all sums, each contributor's share.", [
    'pingo job verify last',
    'pingo job verify last --json',
  ])
    .argument('<id>', ID)
    .action((id: string, options: ClientOptions) =>
      withClient(options, async (client, output) => {
        const job = await findJob(client, id, signal)
        const found = await client.verify(job.id, { signal })
        output.result({ job: job.id, state: job.state, ...found }, () => {
          for (const { what, holds, fault } of found.checks)
            output.say(
              `${holds ? output.colour.green('holds') : output.colour.red('FAILS')}  ${what}${fault ? `: ${fault}` : ''}`,
            )
          for (const { contributor, samples, updates } of found.contributors)
            output.say(
              `       ${shortId(contributor)} trained ${whole(samples)} samples in ${updates} ${updates === 1 ? 'update' : 'updates'}`,
            )
          output.say(
            found.holds
              ? `The ledger of ${job.id} holds: ${whole(found.samples)} samples in ${whole(found.batches)} batches, each once, in ${found.rounds} rounds.`
              : `The ledger of ${job.id} does not hold.`,
          )
        })
        if (!found.holds) throw new Exit(EXIT.failed)
      }),
    )
}
