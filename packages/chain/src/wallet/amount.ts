import { PinGoError } from '@pingo/wire'
import { DECIMALS } from '../token/split.ts'

/** TL-B's `Coins` have 120 bits. */
export const MAX_COINS = 2n ** 120n - 1n

/**
 * An amount as a person writes it, "12.5", in billionths, exactly: no floating point is involved.
 *
 * @throws PinGoError AMOUNT_INVALID
 */
export function parseAmount(text: string, decimals = DECIMALS): bigint {
  const invalid = (hint: string) =>
    new PinGoError('AMOUNT_INVALID', `${JSON.stringify(text.slice(0, 40))} is no amount.`, { hint })
  const match = /^(\d{1,37})(?:\.(\d{1,37}))?$/.exec(text.trim())
  if (!match) throw invalid('Write it with digits and, if need be, one point, as in 12.5.')
  const [, whole = '', fraction = ''] = match
  if (fraction.length > decimals) throw invalid(`It has ${decimals} digits after the point at most.`)
  const amount = BigInt(whole + fraction.padEnd(decimals, '0'))
  if (amount > MAX_COINS) throw invalid('It is larger than any amount can be.')
  return amount
}

/** An amount in billionths as a person reads it: all digits that count, none that do not. */
export function formatAmount(amount: bigint, decimals = DECIMALS): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return `${amount < 0n ? '-' : ''}${whole}${fraction && `.${fraction}`}`
}
