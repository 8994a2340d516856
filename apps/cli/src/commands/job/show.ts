import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, withClient } from '../../context.ts'
import { count, duration, figure, metric, metricName, shortId, time, whole } from '../../format.ts'
import { testText } from '../../view/job-lines.ts'
import { findJob } from './find.ts'

export function listCommand({ signal }: Context): Command {
  return clientCommand('list', 'List jobs, newest first.', ['pingo job list', 'pingo job list --json']).action(
    (options: ClientOptions) =>
      withClient(options, async (client, output) => {
        const jobs = await client.jobs({ signal })
        output.result({ jobs }, () => {
          if (!jobs.length) return output.say('No jobs yet; submit one with `pingo train job.yaml`.')
          output.table(
            [
              ['ID', 'NAME', 'STATE', 'DONE', 'LOSS', 'METRIC', 'SUBMITTED'],
              ...jobs.map((job) => [
                job.id,
                job.name,
                job.state,
                `${job.samplesTotal ? Math.floor((job.samplesDone / job.samplesTotal) * 100) : 0} %`,
                figure(job.loss),
                `${metricName(job.metricName)} ${metric(job.metricName, job.testMetric ?? job.metric)}`,
                time(job.submittedAt),
              ]),
            ],
            [3, 4],
          )
        })
      }),
  )
}

export function describeCommand({ signal }: Context): Command {
  return clientCommand('describe', 'Tell all about a job: state, settings, rounds, who trained it.', [
    'pingo job describe last',
    'pingo job describe 4f1c --json',
  ])
    .argument('<id>', "the job's id, the beginning of it, its name, or last")
    .action((id: string, options: ClientOptions) =>
      withClient(options, async (client, output) => {
        const job = await findJob(client, id, signal)
        const rounds = await client.rounds(job.id, { signal })
        output.result({ job, rounds }, () => {
          const row = (name: string, value: string | number | undefined) => {
            if (value) output.say(`${output.colour.dim(name.padEnd(13))}${value}`)
          }
          output.say(`${output.colour.bold(job.name)}  ${job.id}`)
          row('state', `${job.state}${job.reason ? `: ${job.reason}` : ''}`)
          row('submitted', time(job.submittedAt))
          row('started', job.startedAt && time(job.startedAt))
          row(
            'ended',
            job.endedAt && `${time(job.endedAt)} (after ${duration(job.endedAt - (job.startedAt ?? job.submittedAt))})`,
          )
          row(
            'progress',
            `${whole(job.samplesDone)} of ${whole(job.samplesTotal)} samples, ${job.epochs} epochs of batches of ${job.batch}${job.training?.accumulation ? ` in ${job.training.accumulation}` : ''}`,
          )
          row('time left', job.state === 'running' && job.etaMs !== undefined ? duration(job.etaMs) : undefined)
          row('speed', `${count(job.samplesPerSecond)} samples/s`)
          row('loss', `${figure(job.loss)} (${job.training?.loss ?? job.lossName})`)
          if (job.metricName !== 'loss') row(metricName(job.metricName), metric(job.metricName, job.metric))
          row(
            'test',
            job.testMetric === undefined
              ? undefined
              : [testText(job), `loss ${figure(job.testLoss)}`].filter(Boolean).join(', '),
          )
          row('optimiser', job.training && `${job.training.optimizer}; ${job.training.schedule}`)
          row('adapters', job.training?.adapters)
          row('frozen', job.training?.frozen)
          row('parameters', whole(job.parameters))
          row('data', `pingo://${job.train}`)
          row('test data', job.test && `pingo://${job.test}`)
          row('result', job.result && `model.onnx ${job.result.model.cid}`)
          if (job.shares.length) {
            output.say()
            output.table(
              [
                ['CONTRIBUTOR', 'SAMPLES', 'UPDATES'],
                ...job.shares.map((share) => [
                  `${share.name || 'unnamed'} (${shortId(share.contributor)})`,
                  whole(share.samples),
                  String(share.updates),
                ]),
              ],
              [1, 2],
            )
          }
          if (rounds.length) {
            const counted = job.metricName !== 'loss'
            output.say()
            output.table(
              [
                [
                  'ROUND',
                  'TIME',
                  'SAMPLES',
                  'LOSS',
                  ...(counted ? [job.metricName.toUpperCase()] : []),
                  'TEST',
                  'SAMPLES/S',
                  'BY',
                ],
                ...rounds
                  .slice(-20)
                  .map((round) => [
                    String(round.round),
                    duration(round.millis),
                    whole(round.samples),
                    figure(round.loss),
                    ...(counted ? [metric(job.metricName, round.metric)] : []),
                    metric(job.metricName, round.testMetric),
                    count(round.samplesPerSecond),
                    String(round.shares.length),
                  ]),
              ],
              [0, 1, 2, 3, 4, 5, 6, 7],
            )
          }
        })
      }),
    )
}

export function explainCommand({ signal }: Context): Command {
  return clientCommand('explain', 'Tell why a job is where it is, and what would change that.', [
    'pingo job explain last',
  ])
    .argument('<id>', "the job's id, the beginning of it, its name, or last")
    .action((id: string, options: ClientOptions) =>
      withClient(options, async (client, output) => {
        const job = await findJob(client, id, signal)
        const explanation = await client.explain(job.id, { signal })
        output.result(explanation, () => {
          output.say(explanation.sentence)
          for (const { what, change } of explanation.constraints) output.say(`- ${what} ${change}`)
        })
      }),
    )
}
