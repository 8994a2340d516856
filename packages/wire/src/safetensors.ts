import { z } from 'zod'
import { PinGoError } from './errors.ts'
import { arrayView, bytesOf, bytesView, type DType, sizeOf, type Tensor } from './tensor.ts'

/** Longest header that is read, bytes (the format's own limit is 100 MB). */
export const MAX_SAFETENSORS_HEADER_BYTES = 16 << 20
const MAX_RANK = 16
const SPACE = 0x20

const NAMES: Record<DType, string> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  uint8: 'U8',
  int16: 'I16',
  uint16: 'U16',
  int32: 'I32',
  uint32: 'U32',
  int64: 'I64',
  uint64: 'U64',
  bool: 'BOOL',
}
const DTYPES = new Map(Object.entries(NAMES).map(([dtype, name]) => [name, dtype as DType]))

const EntrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)).max(MAX_RANK),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
})
const HeaderSchema = z.record(z.string(), z.unknown())

export interface Safetensors {
  tensors: Map<string, Tensor>
  metadata: Record<string, string>
}

/**
 * Writes named tensors as a safetensors file (huggingface/safetensors, format of 2022): 8 bytes of header length, a JSON
 * header padded by spaces to 8 bytes, then the data, little-endian, widest element types first so that all stay aligned.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const entries = [...tensors].sort(([, a], [, b]) => bytesOf(b.dtype) - bytesOf(a.dtype))
  const header: Record<string, unknown> = Object.keys(metadata).length ? { __metadata__: metadata } : {}
  let offset = 0
  for (const [name, { dtype, shape, data }] of entries) {
    if (data.length !== sizeOf(shape))
      throw new PinGoError(
        'TENSOR_MALFORMED',
        `Tensor '${name}' has ${data.length} elements, its shape [${shape}] wants ${sizeOf(shape)}.`,
      )
    header[name] = { dtype: NAMES[dtype], shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const headerBytes = Math.ceil(json.length / 8) * 8
  const out = new Uint8Array(8 + headerBytes + offset)
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true)
  out.set(json, 8)
  out.fill(SPACE, 8 + json.length, 8 + headerBytes)
  let at = 8 + headerBytes
  for (const [, { data }] of entries) {
    out.set(bytesView(data), at)
    at += data.byteLength
  }
  return out
}

/** What a safetensors file's header says of a tensor. Its bytes are those from `start` to `end` of the file. */
export interface SafetensorsEntry {
  dtype: DType
  shape: number[]
  start: number
  end: number
}

/** Bytes in front of a safetensors file that tell how long its header is. */
export const SAFETENSORS_PREFIX_BYTES = 8

const malformed = (why: string, cause?: unknown) =>
  new PinGoError('SAFETENSORS_MALFORMED', `The safetensors file is damaged: ${why}.`, { cause })

/** Bytes of the header of a file of `fileBytes`, by its first bytes. @throws PinGoError SAFETENSORS_MALFORMED */
export function safetensorsHeaderBytes(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.byteLength < SAFETENSORS_PREFIX_BYTES) throw malformed('it is shorter than its header')
  const bytes = Number(new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength).getBigUint64(0, true))
  if (bytes > MAX_SAFETENSORS_HEADER_BYTES || SAFETENSORS_PREFIX_BYTES + bytes > fileBytes)
    throw malformed('its header is cut off or too long')
  return bytes
}

/**
 * Reads the header of a file of `fileBytes`, without its prefix.
 * @throws PinGoError SAFETENSORS_MALFORMED for anything cut off, out of range or of unknown type
 */
export function readSafetensorsHeader(
  bytes: Uint8Array,
  fileBytes: number,
): { entries: Map<string, SafetensorsEntry>; metadata: Record<string, string> } {
  let header: Record<string, unknown>
  try {
    header = HeaderSchema.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw malformed('its header is not JSON', cause)
  }
  const first = SAFETENSORS_PREFIX_BYTES + bytes.byteLength
  const entries = new Map<string, SafetensorsEntry>()
  let metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = z.record(z.string(), z.string()).catch({}).parse(value)
      continue
    }
    const entry = EntrySchema.safeParse(value)
    if (!entry.success) throw malformed(`the entry of '${name}' is invalid`)
    const {
      shape,
      data_offsets: [start, end],
    } = entry.data
    const dtype = DTYPES.get(entry.data.dtype)
    if (!dtype) throw malformed(`'${name}' has the unknown element type ${entry.data.dtype}`)
    if (first + end > fileBytes) throw malformed(`the data of '${name}' are cut off`)
    if (end - start !== sizeOf(shape) * bytesOf(dtype))
      throw malformed(`'${name}' has a size that does not fit its shape`)
    entries.set(name, { dtype, shape, start: first + start, end: first + end })
  }
  return { entries, metadata }
}

/**
 * Reads a safetensors file. Tensors are views on `bytes` where alignment allows.
 * @throws PinGoError SAFETENSORS_MALFORMED for anything cut off, overlapping, out of range or of unknown type
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const headerBytes = safetensorsHeaderBytes(bytes, bytes.byteLength)
  const header = bytes.subarray(SAFETENSORS_PREFIX_BYTES, SAFETENSORS_PREFIX_BYTES + headerBytes)
  const { entries, metadata } = readSafetensorsHeader(header, bytes.byteLength)
  const tensors = new Map<string, Tensor>()
  for (const [name, { dtype, shape, start, end }] of entries)
    tensors.set(name, { dtype, shape, data: arrayView(dtype, bytes.subarray(start, end)) })
  return { tensors, metadata }
}
