import { sizeOf, type Tensor } from '@pingo/wire'

/** A float32 tensor of the given values, zeros when there are none. */
export const float32 = (shape: number[], values?: ArrayLike<number>): Tensor => ({
  dtype: 'float32',
  shape,
  data: values ? Float32Array.from(values) : new Float32Array(sizeOf(shape)),
})
