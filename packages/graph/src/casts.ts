import type { DType } from '@pingo/wire'

/** TensorProto.DataType codes, as Cast's attribute wants them. */
export const CAST_CODES: Readonly<Partial<Record<DType, number>>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
  uint32: 12,
  uint64: 13,
}
