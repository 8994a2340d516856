import { type Attributes, int, ints, string } from '../model.ts'
import { type Layer, layer, misfit, type Net, numbersOnly, whole } from './net.ts'

export interface RecurrentOptions {
  /** True: the state after each step; default: after the last one. */
  sequences?: boolean
  /** Also from the end to the beginning; the two states stand one behind the other. Default false. */
  bidirectional?: boolean
  name?: string
}

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000): [time, features] → [units], or
 * [time, units] with `sequences`; twice as wide when bidirectional. Weights `weight` [directions, 4·units, features], `recurrent`
 * [directions, 4·units, units], `bias` [directions, 8·units], gates in ONNX's order (input, output, forget, cell). They begin uniform
 * within ±1/√units, biases as 0 but for the forget gate's 1 (Jozefowicz et al. 2015).
 */
export const lstm = (units: number, o: RecurrentOptions = {}): Layer => recurrent('lstm', 4, units, o)

/**
 * Gated recurrent unit (Cho et al. 2014), the reset gate behind the product as cuDNN and PyTorch have it: shapes as {@link lstm}.
 * Weights `weight` [directions, 3·units, features], `recurrent` [directions, 3·units, units], `bias` [directions, 6·units]; gates
 * update, reset, hidden.
 */
export const gru = (units: number, o: RecurrentOptions = {}): Layer => recurrent('gru', 3, units, o)

const FORGET_GATE = 2

const recurrent = (kind: 'lstm' | 'gru', gates: number, units: number, o: RecurrentOptions): Layer =>
  layer(kind, o.name, (net, x, name) => {
    whole(name, 'its number of units', units)
    numbersOnly(name, x)
    if (x.shape.length !== 2)
      throw misfit(
        name,
        x,
        'a sequence [time, features]',
        'Put embedding() or reshape([time, features]) in front of it.',
      )
    const [time, features] = x.shape as [number, number]
    const directions = o.bidirectional ? 2 : 1
    const initial = { uniform: 1 / Math.sqrt(units) }
    const weight = net.weight(`${name}.weight`, [directions, gates * units, features], initial)
    const again = net.weight(`${name}.recurrent`, [directions, gates * units, units], initial)
    const bias = biasOf(net, name, kind, directions, gates, units)
    const attributes: Attributes = {
      hidden_size: int(units),
      direction: string(o.bidirectional ? 'bidirectional' : 'forward'),
      ...(kind === 'gru' ? { linear_before_reset: int(1) } : {}),
    }
    // ONNX counts time first.
    const turned = net.node('Transpose', [x.value], `${name}.time_first`, { perm: ints([1, 0, 2]) })
    const inputs = [turned, weight, again, bias]
    const op = kind.toUpperCase()
    if (o.sequences) {
      const states = net.node(op, inputs, `${name}.states`, attributes) // [time, directions, N, units]
      const back = net.node('Transpose', [states], `${name}.batch_first`, { perm: ints([2, 0, 1, 3]) })
      const shape = [time, directions * units]
      return { ...x, value: net.node('Reshape', [back, net.list(0, ...shape)], `${name}.out`), shape }
    }
    const last = net.node(op, inputs, `${name}.last`, attributes, ['']) // [directions, N, units]
    const back = net.node('Transpose', [last], `${name}.batch_first`, { perm: ints([1, 0, 2]) })
    const shape = [directions * units]
    return { ...x, value: net.node('Reshape', [back, net.list(0, ...shape)], `${name}.out`), shape }
  })

function biasOf(net: Net, name: string, kind: string, directions: number, gates: number, units: number): string {
  const each = 2 * gates * units
  const values = new Float32Array(directions * each)
  if (kind === 'lstm')
    for (let d = 0; d < directions; d++)
      values.fill(1, d * each + FORGET_GATE * units, d * each + (FORGET_GATE + 1) * units)
  return net.tensor(`${name}.bias`, { dtype: 'float32', shape: [directions, each], data: values })
}
