import type { BrowserView } from '@pingo/contributor/browser'

export interface Words {
  /** A colour: as the states of chips. */
  tone: 'off' | 'idle' | 'training' | 'paused' | 'failed'
  title: string
  sentence: string
}

/** What goes on, in a title and a sentence: said again only when it changes, so it holds no number that runs. */
export function wordsOf(o: {
  isOn: boolean
  isLeaving: boolean
  view: BrowserView | undefined
  failure: string | undefined
}): Words {
  const { isOn, isLeaving, view, failure } = o
  if (failure !== undefined) return { tone: 'failed', title: 'It stopped', sentence: failure }
  if (!isOn)
    return { tone: 'off', title: 'Off', sentence: 'Nothing of this device is used. Press Start to lend some of it.' }
  if (isLeaving) return { tone: 'idle', title: 'Stopping', sentence: 'Handing in what is done.' }
  if (!view) return { tone: 'idle', title: 'Starting', sentence: 'Loading, and reaching the fog node.' }
  if (view.pause && view.state !== 'submitting')
    return { tone: 'paused', title: 'Paused', sentence: view.pause.sentence }
  if (!view.connected)
    return {
      tone: 'paused',
      title: 'Not connected',
      sentence: `${view.reason ?? 'Reaching the fog node.'} It is tried again by itself.`,
    }
  const job = view.jobName ?? view.job
  switch (view.state) {
    case 'fetching':
      return { tone: 'idle', title: 'Fetching', sentence: `Bringing what ${job} needs: its program, data and weights.` }
    case 'training':
    case 'submitting':
      return { tone: 'training', title: 'Training', sentence: `Working on ${job}.` }
    default:
      return view.problem === undefined
        ? {
            tone: 'idle',
            title: 'Waiting for work',
            sentence: 'Ready. The fog node has nothing for this device at the moment.',
          }
        : { tone: 'failed', title: 'Waiting for work', sentence: `The last piece of work failed: ${view.problem}` }
  }
}
