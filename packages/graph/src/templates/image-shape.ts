import { PinGoError } from '@pingo/wire'

/** A sample's [C, H, W], checked. @throws PinGoError TEMPLATE_INVALID */
export function imageShape(template: string, shape: readonly number[], least: number): [number, number, number] {
  const [channels, height, width] = shape
  if (shape.length !== 3 || !(Math.min(height!, width!) >= least))
    throw new PinGoError(
      'TEMPLATE_INVALID',
      `The template ${template} wants images of shape [channels, height, width] of at least ${least} pixels, not [${shape}].`,
      { hint: 'Use larger images (data.imageSize) or a smaller network.' },
    )
  return [channels!, height!, width!]
}
