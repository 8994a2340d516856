import { PinGoError, sizeOf } from '@pingo/wire'
import { block, conv2d, convTranspose2d, dense, flatten, reshape, sequential } from '../layers/index.ts'
import type { Model } from '../model.ts'

export interface AutoencoderOptions {
  /** [C, H, W] of images; any other shape is taken as a table's row. */
  shape: number[]
  /** Numbers that a sample is squeezed into. Default 32 for images, else 8 (at most the inputs). */
  latent?: number
  /** Images: channels of the convolutions, each of which halves the size. Default [16, 32]. */
  channels?: number[]
  /** Tables: widths of the layers before the latent one; mirrored behind it. Default [64]. */
  hidden?: number[]
  seed?: number
}

/** Tells its input from few numbers: `input` [batch, …shape] → `output` [batch, …shape], to be trained with mse on the input itself. */
export function autoencoder(o: AutoencoderOptions): Model {
  return o.shape.length === 3 ? ofImages(o) : ofRows(o)
}

function ofImages({ shape, latent = 32, channels = [16, 32], seed = 0 }: AutoencoderOptions): Model {
  const [depth, height, width] = shape as [number, number, number]
  const small = 2 ** channels.length
  if (height % small || width % small || !channels.length)
    throw new PinGoError(
      'TEMPLATE_INVALID',
      `The template autoencoder halves images ${channels.length} times; ${height} × ${width} cannot be.`,
      { hint: `Let height and width be multiples of ${small} (data.imageSize), or use fewer channels.` },
    )
  const inner = [channels.at(-1)!, height / small, width / small]
  const back = [...channels.slice(0, -1).reverse(), depth]
  const layers = [
    block([...channels.map((to) => conv2d(to, { stride: 2, activation: 'relu' })), flatten(), dense(latent)], {
      name: 'encoder',
    }),
    block(
      [
        dense(sizeOf(inner), { activation: 'relu' }),
        reshape(inner),
        ...back.map((to, i) => {
          const last = i === back.length - 1
          return convTranspose2d(to, last ? { initial: 'glorot' } : { activation: 'relu' })
        }),
      ],
      { name: 'decoder' },
    ),
  ]
  return sequential(layers, { input: shape, seed, name: 'autoencoder' })
}

function ofRows({ shape, hidden = [64], seed = 0, ...o }: AutoencoderOptions): Model {
  const size = sizeOf(shape)
  const latent = o.latent ?? Math.min(8, Math.max(1, Math.ceil(size / 2)))
  const wide = (widths: number[]) => widths.map((width) => dense(width, { activation: 'relu' }))
  const layers = [
    block([flatten(), ...wide(hidden), dense(latent)], { name: 'encoder' }),
    block([...wide(hidden.toReversed()), dense(size), ...(shape.length === 1 ? [] : [reshape(shape)])], {
      name: 'decoder',
    }),
  ]
  return sequential(layers, { input: shape, seed, name: 'autoencoder' })
}
