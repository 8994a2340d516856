import { PinGoError } from '@pingo/wire'
import { z } from 'zod'
import type { HttpAnswer } from '../transfer/http-client.ts'

const ErrorSchema = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(2_000), hint: z.string().max(2_000).optional() }),
})

/** What a node said when it refused, as the error that it meant. */
export function refusal(url: string, { status, body }: HttpAnswer): PinGoError {
  try {
    const { error } = ErrorSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')))
    return new PinGoError(error.code, error.message, { hint: error.hint, details: { status, url } })
  } catch {
    return new PinGoError('ANSWER_INVALID', `${url} answered ${status}.`, {
      hint: 'Check that the address is that of a PinGo node.',
      details: { status, url },
    })
  }
}
