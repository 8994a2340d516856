import type { Earnings, LeaseRecord } from '@pingo/wire'
import type { Command } from 'commander'
import { type Context, numberFrom } from '../../context.ts'
import { bytes, count, duration, shortId, time, whole } from '../../format.ts'
import { Output } from '../../output.ts'
import { type HomeOptions, ownerCommand, runningContributor } from './home.ts'

const DEFAULT_LIMIT = 20
const MAX_LISTED_DAYS = 14
const MAX_LISTED_JOBS = 20

export function historyCommand(_: Context): Command {
  return ownerCommand('history', 'See what was run here, for whom, and what became of it.', [
    'pingo contribute history',
    'pingo contribute history --limit 100 --json',
  ])
    .option('--limit <n>', 'how many leases, the newest first', numberFrom(1, 1000, { integer: true }), DEFAULT_LIMIT)
    .option('--before <lease>', 'only those before this one: the last of the page before')
    .action(async (options: HomeOptions & { limit: number; before?: string }) => {
      const output = new Output(options)
      const { limit, before } = options
      const view = await (await runningContributor(options)).history({ limit, before })
      output.result(view, () => {
        if (view.leases.length === 0) output.say('Nothing was run here yet.')
        else output.table([HISTORY_HEAD, ...view.leases.map(historyRow)], [4, 5, 6, 7])
      })
    })
}

const HISTORY_HEAD = ['ended', 'job', 'for', 'outcome', 'round', 'samples', 'time', 'sent']
const historyRow = (lease: LeaseRecord): string[] => [
  time(lease.endedAt),
  (lease.jobName ?? shortId(lease.job)).slice(0, 24),
  shortId(lease.fog),
  lease.why ? `${lease.outcome} (${lease.why})`.slice(0, 40) : lease.outcome,
  String(lease.round),
  whole(lease.samples),
  duration(lease.endedAt - lease.startedAt),
  bytes(lease.sentBytes),
]

export function earningsCommand(_: Context): Command {
  return ownerCommand('earnings', 'See what this machine has done that counts: samples in trained models.', [
    'pingo contribute earnings',
    'pingo contribute earnings --json',
  ]).action(async (options: HomeOptions) => {
    const output = new Output(options)
    const view = await (await runningContributor(options)).earnings()
    output.result(view, () => tell(view, output))
  })
}

function tell({ days, jobs, total }: Earnings, output: Output): void {
  if (total.leases === 0) {
    output.say('Nothing has counted yet: samples count when the round that has them is committed.')
    return
  }
  const row = (sum: Earnings['total']) => [
    whole(sum.leases),
    count(sum.samplesIncluded),
    duration(sum.cpuSeconds * 1000),
  ]
  const shown = days.slice(-MAX_LISTED_DAYS).reverse()
  output.table([['day', 'leases', 'samples', 'CPU time'], ...shown.map((day) => [day.day, ...row(day)])], [1, 2, 3])
  output.say()
  const named = jobs
    .slice(0, MAX_LISTED_JOBS)
    .map((job) => [(job.jobName ?? shortId(job.job)).slice(0, 30), shortId(job.fog), ...row(job)])
  output.table([['job', 'for', 'leases', 'samples', 'CPU time'], ...named], [2, 3, 4])
  output.say()
  output.say(
    `In all ${whole(total.leases)} leases, ${count(total.samplesIncluded)} samples in trained models, ${duration(total.cpuSeconds * 1000)} of CPU time.`,
  )
}
