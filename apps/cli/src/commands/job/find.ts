import type { Client } from '@pingo/client'
import { isPinGoError, type JobView, PinGoError } from '@pingo/wire'

/** A job by its id, by the beginning of it, by its name when only one has it, or `last` for the newest. */
export async function findJob(client: Client, text: string, signal: AbortSignal): Promise<JobView> {
  if (text !== 'last') {
    try {
      return await client.job(text, { signal })
    } catch (error) {
      if (!isPinGoError(error, 'JOB_UNKNOWN')) throw error
    }
  }
  const jobs = await client.jobs({ signal })
  if (text === 'last' && jobs[0]) return jobs[0]
  const matches = jobs.filter(({ id, name }) => id.startsWith(text) || name === text)
  if (matches.length === 1) return matches[0]!
  if (matches.length > 1)
    throw new PinGoError('JOB_AMBIGUOUS', `${matches.length} jobs are meant by '${text}'.`, {
      hint: `Name one by its id: ${matches
        .slice(0, 5)
        .map(({ id }) => id)
        .join(', ')}.`,
    })
  throw new PinGoError('JOB_UNKNOWN', text === 'last' ? 'There are no jobs yet.' : `There is no job '${text}'.`, {
    hint: jobs.length ? 'See `pingo job list`.' : 'Submit one with `pingo train job.yaml`.',
  })
}
