import type { DecodedImage } from './decode.ts'
import { resizePlane } from './resize.ts'

/**
 * An image as [channels, height, width] bytes. What is transparent shows white; grey is the luma of ITU-R BT.601, and a grey
 * file seen in colour has three equal channels.
 */
export function toPlanes(image: DecodedImage, channels: 1 | 3, height: number, width: number): Uint8Array {
  const area = image.width * image.height
  const out = new Uint8Array(channels * height * width)
  const plane = new Uint8Array(area)
  const { rgba } = image
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) {
      const at = 4 * i
      const alpha = rgba[at + 3]!
      const value =
        channels === 3
          ? rgba[at + c]!
          : image.channels === 1
            ? rgba[at]!
            : // 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point.
              (rgba[at]! * 19595 + rgba[at + 1]! * 38470 + rgba[at + 2]! * 7471 + 0x8000) >> 16
      plane[i] = alpha === 255 ? value : Math.round((value * alpha + 255 * (255 - alpha)) / 255)
    }
    out.set(resizePlane(plane, image.width, image.height, width, height), c * height * width)
  }
  return out
}
