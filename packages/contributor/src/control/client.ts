import {
  type Earnings,
  type HistoryView,
  MACHINE_ANSWERS,
  type MachineView,
  PinGoError,
  type SettingsChange,
  type SettingsView,
} from '@pingo/wire'
import { z } from 'zod'
import { type ControlFile, isLive, readControlFile } from './control-file.ts'

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 8 << 20

const ErrorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
})

/** A running contributor, by its control API. */
export interface ControlClient {
  readonly pid: number
  /** Address of the owner's page, with what lets in. */
  readonly page: string
  view(): Promise<MachineView>
  settings(): Promise<SettingsView>
  change(said: SettingsChange): Promise<SettingsView>
  pause(minutes?: number): Promise<MachineView>
  resume(): Promise<MachineView>
  leave(): Promise<MachineView>
  history(o?: { limit?: number; before?: string }): Promise<HistoryView>
  earnings(): Promise<Earnings>
  /** Whether it still runs. */
  isLive(): Promise<boolean>
}

/** The contributor that runs in a home; undefined when none does. */
export async function findContributor(home: string): Promise<ControlClient | undefined> {
  const file = await readControlFile(home)
  return file && (await isLive(file)) ? controlClient(file) : undefined
}

/** The address of the owner's page: the token is behind the #, which browsers never send. */
export const pageAddress = ({ url, token }: { url: string; token: string }): string => `${url}/#/machine?token=${token}`

function controlClient(file: ControlFile): ControlClient {
  const ask = async <S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<z.output<S>> => {
    let response: Response
    try {
      response = await fetch(`${file.url}/v1/machine${path}`, {
        method,
        headers: {
          authorization: `Bearer ${file.token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
    } catch (cause) {
      const why = (cause as Error).name === 'TimeoutError' ? 'takes too long to answer' : 'does not answer any more'
      throw new PinGoError('CONTRIBUTOR_SILENT', `The contributor (process ${file.pid}) ${why}.`, { cause })
    }
    const text = await response.text()
    const value: unknown = text.length > MAX_ANSWER_BYTES ? undefined : JSON.parse(text)
    const failed = ErrorSchema.safeParse(value)
    if (failed.success) {
      const { code, message, hint } = failed.data.error
      throw new PinGoError(code, message, { hint })
    }
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    throw new PinGoError(
      'CONTRIBUTOR_ANSWER',
      'The contributor that runs gives answers that this command does not know.',
      {
        hint: 'It may be of another version: restart it.',
        cause: parsed.error,
      },
    )
  }
  return {
    pid: file.pid,
    page: pageAddress(file),
    view: () => ask(MACHINE_ANSWERS.view, 'GET', ''),
    settings: () => ask(MACHINE_ANSWERS.settings, 'GET', '/settings'),
    change: (said) => ask(MACHINE_ANSWERS.settings, 'PATCH', '/settings', said),
    pause: (minutes) => ask(MACHINE_ANSWERS.view, 'POST', '/pause', minutes === undefined ? {} : { minutes }),
    resume: () => ask(MACHINE_ANSWERS.view, 'POST', '/resume'),
    leave: () => ask(MACHINE_ANSWERS.view, 'POST', '/leave'),
    history: ({ limit, before } = {}) => {
      const query = new URLSearchParams()
      if (limit !== undefined) query.set('limit', String(limit))
      if (before !== undefined) query.set('before', before)
      return ask(MACHINE_ANSWERS.history, 'GET', `/history?${query}`)
    },
    earnings: () => ask(MACHINE_ANSWERS.earnings, 'GET', '/earnings'),
    isLive: () => isLive(file),
  }
}
