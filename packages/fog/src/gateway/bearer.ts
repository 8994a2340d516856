import { timingSafeEqual } from 'node:crypto'
import { sha256 } from '@pingo/wire'

/** True when a request carries the fog node's token as bearer. Compared in constant time. */
export const bears = (header: string | undefined, token: string): boolean =>
  timingSafeEqual(sha256(Buffer.from(header ?? '')), sha256(Buffer.from(`Bearer ${token}`)))
