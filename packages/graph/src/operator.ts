import type { DType, Tensor } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import type { Attributes, Node } from './model.ts'
import type { Rebatch } from './rebatch.ts'

/** A typed value of a graph under construction. All shapes are static. */
export interface Value {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  /** Elements that are known while building: constants, and the initial values of parameters. */
  readonly data?: Tensor
  /** Whether `data` may change in training: such a value is never folded. */
  readonly variable: boolean
}

export interface Type {
  dtype: DType
  shape: readonly number[]
}

export type Values = readonly (Value | undefined)[]

/** What an operator's type depends on. `inputs[i]!.data` holds the elements of constants. */
export interface InferContext {
  op: string
  inputs: Values
  attributes: Attributes
}

export interface FoldContext extends InferContext {
  /** Elements of each input; an absent optional input is undefined. */
  tensors: readonly (Tensor | undefined)[]
  types: readonly Type[]
}

export interface LowerContext {
  b: GraphBuilder
  /** The user's node. */
  node: Node
  op: string
  attributes: Attributes
  inputs: Values
  /** The user's operator set: 11 to 23. */
  opset: number
  /** True in the training graph: BatchNormalization uses the batch's statistics. */
  training: boolean
  /** Where another batch is wanted than the fixed one of the file; and what is known of the `i`-th input or output at the file's batch. */
  exported?: Rebatch & {
    input(i: number): readonly number[] | undefined
    output(i: number): readonly number[] | undefined
    /** See `BatchPlaces`. */
    within(i: number): number | undefined
  }
  /** Uniform random numbers in [0, 1) of a shape, other ones at each call; undefined where nothing is random (outside the step graph). */
  noise?: ((shape: readonly number[]) => Value) | undefined
  /** A running statistic as it stands after the nodes before this one (a layer may be used twice in a step). */
  currentBuffer(buffer: Value): Value
  /** Registers the next value of a running statistic (an initialiser of the model). */
  updateBuffer(buffer: Value, next: Value): void
  /** Tells the user something that is allowed but surprising. */
  note(text: string): void
}

export interface GradientContext {
  b: GraphBuilder
  op: string
  attributes: Attributes
  inputs: Values
  outputs: readonly Value[]
  /** dL/d output, undefined where an output does not reach the loss. */
  grads: Values
  /** Whether dL/d input is wanted. */
  wants: readonly boolean[]
}

/** Everything PinGo knows of one operator. An operator family is a file of these. */
export interface Operator {
  /** Types of the outputs of the emitted (opset 18) form. Absent for operators that are always lowered to others. */
  infer?(c: InferContext): Type[]
  /** A value that holds what the emitted form would, made another way; undefined where there is none better. */
  simplify?(b: GraphBuilder, inputs: Values, attributes: Attributes): Value | undefined
  /** The output's elements, when all inputs are constants. */
  fold?(c: FoldContext): Tensor | undefined
  /** Translates a user's node (opset 11 to 23) into emitted operators; absent: the node is emitted as it stands. */
  lower?(c: LowerContext): (Value | undefined)[]
  /** dL/d input for each input that is wanted. Absent: not differentiable. */
  gradient?(c: GradientContext): (Value | undefined)[]
  /**
   * The (only) output once more, for the gradients of what reads it: made of what the operator's own gradient computes anyway, so that it need not
   * be held, nor computed a second time from the start.
   */
  remade?(c: Pick<GradientContext, 'b' | 'inputs' | 'attributes'>): Value
  /** True when no gradient passes (comparisons, rounding, shapes): the derivative is zero or undefined by nature. */
  stopsGradient?: boolean
  /** Floating-point operations, multiply and add counted apart; default: one for each output element. */
  flops?(c: InferContext, outputs: readonly Type[]): number
}
