import { float, int } from '../model.ts'
import { type Layer, layer, type Net, numbersOnly, type Signal } from './net.ts'

export const ACTIVATIONS = [
  'relu',
  'leakyRelu',
  'elu',
  'gelu',
  'geluTanh',
  'silu',
  'mish',
  'hardSwish',
  'softplus',
  'tanh',
  'sigmoid',
  'softmax',
  'logSoftmax',
] as const
export type Activation = (typeof ACTIVATIONS)[number]

/** Those after which a weight begins as He et al. 2015 say. */
const RECTIFIERS: readonly Activation[] = ['relu', 'leakyRelu', 'elu', 'gelu', 'geluTanh', 'silu', 'mish', 'hardSwish']
export const isRectifier = (name: Activation | undefined): boolean => name !== undefined && RECTIFIERS.includes(name)

const PLAIN: Partial<Record<Activation, string>> = {
  relu: 'Relu',
  elu: 'Elu',
  hardSwish: 'HardSwish',
  softplus: 'Softplus',
  tanh: 'Tanh',
  sigmoid: 'Sigmoid',
}

/** Emits an activation behind `x`; none when `kind` is undefined. Its last node is called `out`. */
export function activate(net: Net, x: Signal, name: string, kind?: Activation, out = `${name}.${kind}`): Signal {
  return kind ? { ...x, value: emit(net, x.value, name, kind, out) } : x
}

function emit(net: Net, x: string, name: string, kind: Activation, out: string): string {
  const plain = PLAIN[kind]
  if (plain) return net.node(plain, [x], out)
  const step = (op: string, inputs: string[], label: string) => net.node(op, inputs, `${name}.${label}`)
  switch (kind) {
    case 'leakyRelu':
      return net.node('LeakyRelu', [x], out, { alpha: float(0.01) })
    case 'softmax':
      return net.node('Softmax', [x], out, { axis: int(-1) })
    case 'logSoftmax':
      return net.node('LogSoftmax', [x], out, { axis: int(-1) })
    case 'silu':
      return net.node('Mul', [x, step('Sigmoid', [x], 'gate')], out)
    case 'mish':
      return net.node('Mul', [x, step('Tanh', [step('Softplus', [x], 'soft')], 'gate')], out)
    // x/2 (1 + erf(x/√2)): ONNX has no operator for it before opset 20.
    case 'gelu': {
      const erf = step('Erf', [step('Mul', [x, net.scalar(Math.SQRT1_2)], 'scaled')], 'erf')
      const cdf = step('Mul', [step('Add', [erf, net.scalar(1)], 'one'), net.scalar(0.5)], 'cdf')
      return net.node('Mul', [x, cdf], out)
    }
    // x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), Hendrycks and Gimpel 2016.
    default: {
      const cube = step('Mul', [step('Mul', [x, x], 'square'), x], 'cube')
      const sum = step('Add', [x, step('Mul', [cube, net.scalar(0.044715)], 'bent')], 'sum')
      const tanh = step('Tanh', [step('Mul', [sum, net.scalar(Math.sqrt(2 / Math.PI))], 'scaled')], 'tanh')
      const cdf = step('Mul', [step('Add', [tanh, net.scalar(1)], 'one'), net.scalar(0.5)], 'cdf')
      return net.node('Mul', [x, cdf], out)
    }
  }
}

/** An activation as a layer of its own, element by element (softmax: over the last axis). Any shape. */
export const activation = (kind: Activation, o: { name?: string } = {}): Layer =>
  layer(kind, o.name, (net, x, name) => {
    numbersOnly(name, x)
    return activate(net, x, name, kind, name)
  })

export const relu = (): Layer => activation('relu')
export const gelu = (): Layer => activation('gelu')
export const silu = (): Layer => activation('silu')
export const tanh = (): Layer => activation('tanh')
export const sigmoid = (): Layer => activation('sigmoid')
export const leakyRelu = (): Layer => activation('leakyRelu')
export const softmax = (): Layer => activation('softmax')
