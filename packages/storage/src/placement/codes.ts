import { type Code, CodeSchema, MAX_COPIED_BYTES, type StorageClass } from '@pingo/wire'

/** Ten data shards and six of parity: any ten bring the stripe back (`docs/storage.md` has the odds). */
export const DEFAULT_CODE: Code = CodeSchema.parse({ k: 10, m: 6 })
/** As many may be lost as of the default code. */
export const SMALL_CODE: Code = CodeSchema.parse({ k: 1, m: 6 })
/** How whole stripes of each class are kept: settings, not laws. */
export const CLASS_CODES: Readonly<Record<StorageClass, Code>> = { hot: DEFAULT_CODE, cold: DEFAULT_CODE }
/** For networks of fewer nodes than a stripe has shards. */
export const FEW_NODES_CODE: Code = CodeSchema.parse({ k: 1, m: 2 })
/** A stripe is repaired when it has this many shards or fewer: of 10 + 6. */
export const REPAIR_AT = 14
/** … and before all others below this many. */
export const URGENT_BELOW = 12

/**
 * How an object of `bytes` is kept where `nodes` can hold durable shards: `code` where the network is large enough, copies
 * of small things, three copies (or as many as there are nodes) where it is not.
 */
export function codeFor(bytes: number, code: Code, nodes: number): Code {
  if (bytes <= MAX_COPIED_BYTES && nodes >= copies(SMALL_CODE)) return SMALL_CODE
  if (nodes >= copies(code)) return code
  return { k: 1, m: Math.max(0, Math.min(copies(FEW_NODES_CODE), nodes) - 1) }
}

const copies = ({ k, m }: Code) => k + m
