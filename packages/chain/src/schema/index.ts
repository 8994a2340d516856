import type { Layout } from './layout.ts'
import * as messages from './messages.ts'

export * from './exits.ts'
export * from './layout.ts'
export * from './messages.ts'
export { ownOp, STANDARD } from './ops.ts'

/** All layouts, in the order of the source. */
export const LAYOUTS: readonly Layout[] = Object.values(messages)
