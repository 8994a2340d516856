/** Seconds of an epoch: a day. */
export const EPOCH_SECONDS = 24 * 3600

/** Epochs in which the rest of a vault halves at the curve's full speed: four years. */
export const HALF_LIFE_EPOCHS = 1461

const DECAY_BITS = 64n
const FEE_SHARE_BITS = 16n

/** `feeShare` of 1: an epoch releases a unit for each unit of fees. More is refused: paying oneself must never pay. */
export const FULL_FEE_SHARE = 1n << FEE_SHARE_BITS

/** What a vault knows of its curve, in units. The contract keeps the same. */
export interface EmissionState {
  rest: bigint
  /** Fees since the last release. */
  fees: bigint
  /** What the next epoch releases even without fees. */
  floor: bigint
  epoch: number
}

/** What fixes a curve. */
export interface EmissionCurve {
  /** Share of the rest that an epoch may release, in 2^-64. */
  decay: bigint
  /** What an epoch releases for each unit of fees, in 2^-16. */
  feeShare: bigint
}

/**
 * The share of a rest, in 2^-64 and rounded down, that an epoch may take so that the rest halves in `epochs`: 1 − 2^(−1/epochs).
 * Found by bisection in whole numbers of 320 bits, so that every machine has the same.
 */
export function decayFor(epochs: number): bigint {
  const precision = 320n
  const one = 1n << precision
  const half = one >> 1n
  let low = 0n
  let high = one
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (power(middle, epochs, precision) <= half) low = middle
    else high = middle
  }
  return (one - high) >> (precision - DECAY_BITS)
}

function power(base: bigint, exponent: number, precision: bigint): bigint {
  let result = 1n << precision
  let square = base
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = (result * square) >> precision
    square = (square * square) >> precision
  }
  return result
}

/** The most that an epoch may release of what is left. */
export function capOf(rest: bigint, decay: bigint): bigint {
  return (rest * decay) >> DECAY_BITS
}

/** One epoch of a vault: what it releases, and what it is afterwards. The same arithmetic as `contracts/token/emission-vault.tolk`. */
export function releaseEpoch(
  state: EmissionState,
  { decay, feeShare }: EmissionCurve,
): { released: bigint; state: EmissionState } {
  const cap = capOf(state.rest, decay)
  const wanted = state.floor + ((state.fees * feeShare) >> FEE_SHARE_BITS)
  const released = cap < wanted ? cap : wanted
  return {
    released,
    state: {
      rest: state.rest - released,
      fees: 0n,
      floor: state.floor - capOf(state.floor, decay),
      epoch: state.epoch + 1,
    },
  }
}

/** Fees come in: they count for the running epoch, and join the rest. */
export function payFees(state: EmissionState, fees: bigint): EmissionState {
  return { ...state, rest: state.rest + fees, fees: state.fees + fees }
}

/** What a vault can have released at most after each of `epochs` epochs, without fees that join it: the curve itself. */
export function fullCurve(supply: bigint, decay: bigint, epochs: number): bigint[] {
  const out: bigint[] = []
  let rest = supply
  for (let epoch = 0; epoch < epochs; epoch++) {
    rest -= capOf(rest, decay)
    out.push(supply - rest)
  }
  return out
}
