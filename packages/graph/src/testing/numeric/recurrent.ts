import { type Attribute, float, int, string } from '../../model.ts'
import { tensorOf } from '../../tensors.ts'
import type { Draw, Generator, Generators, Operand } from './draw.ts'

const GATES: Record<string, number> = { RNN: 1, GRU: 3, LSTM: 4 }
/** Smooth ones: what is drawn must stay away from kinks, and hidden states cannot be told to. */
const SMOOTH = ['Tanh', 'Sigmoid', 'Softplus', 'Affine', 'ScaledTanh']
const DEFAULTS: Record<string, string[]> = {
  RNN: ['Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
}

function activations(d: Draw, op: string, directions: number): Record<string, Attribute> {
  if (d.int(0, 2)) return {}
  const names = Array.from({ length: directions }, () => DEFAULTS[op]!.map(() => d.pick(...SMOOTH))).flat()
  const own = names.filter((name) => name === 'Affine' || name === 'ScaledTanh')
  return {
    activations: { type: 'strings', value: names },
    ...(own.length
      ? {
          activation_alpha: { type: 'floats', value: own.map(() => d.float(0.5, 1.5)) },
          activation_beta: { type: 'floats', value: own.map(() => d.float(0.25, 1)) },
        }
      : {}),
  }
}

const recurrent =
  (op: string): Generator =>
  (d) => {
    const direction = d.pick('forward', 'reverse', 'bidirectional')
    const D = direction === 'bidirectional' ? 2 : 1
    // Now and then more steps than one operation of an LSTM takes; other functions than the usual ones grow over so many.
    const isLong = op === 'LSTM' && d.int(0, 9) === 9
    const T = isLong ? d.int(15, 35) : d.int(1, 3)
    const [B, I, H] = [d.int(1, 2), d.int(1, 2), d.int(1, 2)]
    const G = GATES[op]!
    const layout = d.int(0, 2) ? 0 : 1
    const maybe = (x: () => Operand) => (d.flag() ? x() : undefined)
    const small = { low: -1, high: 1 }
    const state = () => d.real(layout ? [B, D, H] : [D, B, H], small)
    const lengths = (): Operand => ({
      role: d.flag() ? 'input' : 'constant',
      tensor: tensorOf(
        'int32',
        [B],
        Array.from({ length: B }, () => d.int(1, T)),
      ),
    })
    const inputs = [
      d.real(layout ? [B, T, I] : [T, B, I], small),
      d.real([D, G * H, I], small),
      d.real([D, G * H, H], small),
      maybe(() => d.real([D, 2 * G * H], small)),
      maybe(lengths),
      maybe(state),
      ...(op === 'LSTM' ? [maybe(state)] : []),
    ]
    while (!inputs.at(-1)) inputs.pop()
    return {
      op,
      opset: layout ? 14 : d.pick(11, 14, 18),
      inputs,
      outputs: d.int(1, op === 'LSTM' ? 3 : 2),
      attributes: {
        hidden_size: int(H),
        ...(direction !== 'forward' || d.flag() ? { direction: string(direction) } : {}),
        ...(layout ? { layout: int(1) } : {}),
        ...(op === 'GRU' && d.flag() ? { linear_before_reset: int(+d.flag()) } : {}),
        ...(isLong || d.int(0, 3) ? {} : { clip: float(16) }),
        ...(isLong ? {} : activations(d, op, D)),
      },
    }
  }

/** Recurrent layers. */
export const recurrences: Generators = { RNN: recurrent('RNN'), GRU: recurrent('GRU'), LSTM: recurrent('LSTM') }
