import { inflateSync } from 'node:zlib'
import { PinGoError } from '@pingo/wire'
import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import type { ImportLimits } from '../limits.ts'

/** An image as its file holds it: RGBA, 8 bits each, row by row. */
export interface DecodedImage {
  width: number
  height: number
  /** 1 when the file holds grey, else 3. */
  channels: 1 | 3
  rgba: Uint8Array
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
/** Chunk names as big-endian numbers. */
const IHDR = 0x49484452
const IDAT = 0x49444154
/** Largest working memory of the JPEG decoder. */
const JPEG_MEMORY_MB = 1024

export type ImageType = 'png' | 'jpeg'

/** The type of an image by its first bytes. */
export function imageType(bytes: Uint8Array): ImageType | undefined {
  if (PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) return 'png'
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg'
  return undefined
}

/**
 * Decodes a PNG or JPEG. The size that its header declares is checked before anything is unpacked.
 * @throws PinGoError DATA_IMAGE, DATA_TOO_LARGE
 */
export function decodeImage(path: string, bytes: Uint8Array, limits: Pick<ImportLimits, 'imagePixels'>): DecodedImage {
  const type = imageType(bytes)
  if (!type)
    throw new PinGoError('DATA_IMAGE', `'${path}' is not a PNG or JPEG image.`, {
      hint: 'Convert it to PNG or JPEG, or remove it.',
    })
  const damaged = (cause?: unknown) =>
    new PinGoError(
      'DATA_IMAGE',
      `'${path}' is cut off or damaged: it cannot be decoded as ${type === 'png' ? 'PNG' : 'JPEG'}.`,
      {
        hint: 'Download or export it again, or remove it.',
        cause,
      },
    )
  const header = type === 'png' ? pngHeader(bytes) : jpegHeader(bytes)
  if (!header || header.width < 1 || header.height < 1) throw damaged()
  const { width, height, channels } = header
  if (width * height > limits.imagePixels)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `'${path}' says ${width} x ${height} pixels, at most ${limits.imagePixels} are decoded.`,
      {
        hint: 'Scale it down, or raise limits.imagePixels.',
      },
    )
  if (type === 'png' && isInterlaced(bytes) && !unpacksWithin(bytes, maxPngBytes(width, height))) throw damaged()
  let decoded: { width: number; height: number; data: Uint8Array }
  try {
    decoded =
      type === 'png'
        ? PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), { checkCRC: true })
        : decodeJpeg(bytes, limits)
  } catch (cause) {
    throw damaged(cause)
  }
  if (decoded.width !== width || decoded.height !== height || decoded.data.length !== width * height * 4)
    throw damaged()
  return { width, height, channels, rgba: decoded.data }
}

function decodeJpeg(bytes: Uint8Array, limits: Pick<ImportLimits, 'imagePixels'>) {
  return jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: true,
    tolerantDecoding: false,
    maxResolutionInMP: Math.ceil(limits.imagePixels / 1_000_000),
    maxMemoryUsageInMB: JPEG_MEMORY_MB,
  })
}

interface Header {
  width: number
  height: number
  channels: 1 | 3
}

/** The IHDR chunk, which comes first (PNG specification, 11.2.1). Colour types 0 and 4 are grey. */
function pngHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < 33) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(12) !== IHDR) return undefined
  return { width: view.getUint32(16), height: view.getUint32(20), channels: bytes[25] === 0 || bytes[25] === 4 ? 1 : 3 }
}

const isInterlaced = (bytes: Uint8Array): boolean => bytes[28] !== 0

/** Most bytes that the rows of an image take: 4 channels of 16 bits, a filter byte for each row of each of the 7 passes. */
const maxPngBytes = (width: number, height: number): number => 8 * width * height + 7 * (height + width + 2)

/** The decoder unpacks interlaced images without a bound, so it is tried with one first. */
function unpacksWithin(bytes: Uint8Array, maxBytes: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at)
    if (view.getUint32(at + 4) === IDAT) parts.push(bytes.subarray(at + 8, at + 8 + length))
    at += 12 + length
  }
  try {
    inflateSync(Buffer.concat(parts), { maxOutputLength: maxBytes })
    return true
  } catch {
    return false
  }
}

/** The frame header (ITU-T T.81, B.2.2): the first segment SOF0 … SOF15 but DHT, JPG and DAC. */
function jpegHeader(bytes: Uint8Array): Header | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1]!
    if (marker === 0xff) {
      at++
      continue
    }
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), channels: bytes[at + 9] === 1 ? 1 : 3 }
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}
