import { arrayView, type FileRef, type Tensor, writeSafetensors } from '@pingo/wire'
import type { FileSink } from '../import-options.ts'
import type { Layout } from './layout.ts'

/**
 * Cuts a stream of records into shards of about `shardBytes`: safetensors files with one tensor per column,
 * [samples of the shard, ...shape]. All shards but the last have the same number of samples.
 */
export class ShardWriter {
  readonly shards: { file: FileRef; samples: number }[] = []
  readonly #layout: Layout
  readonly #sink: FileSink
  readonly #perShard: number
  readonly #parts: Uint8Array[]
  readonly #finish: (column: string, values: Float32Array) => void
  #samples = 0

  /** @param finish may change the float32 values of a column before they are written */
  constructor(
    layout: Layout,
    samples: number,
    shardBytes: number,
    sink: FileSink,
    finish: (column: string, values: Float32Array) => void,
  ) {
    this.#layout = layout
    this.#sink = sink
    this.#finish = finish
    const most = Math.max(1, Math.floor(shardBytes / layout.recordBytes))
    this.#perShard = Math.ceil(samples / Math.ceil(samples / most))
    this.#parts = layout.fields.map(({ bytes }) => new Uint8Array(this.#perShard * bytes))
  }

  async write(records: Uint8Array): Promise<void> {
    const { fields, recordBytes } = this.#layout
    for (let at = 0; at < records.length; at += recordBytes) {
      for (let i = 0; i < fields.length; i++) {
        const { offset, bytes } = fields[i]!
        this.#parts[i]!.set(records.subarray(at + offset, at + offset + bytes), this.#samples * bytes)
      }
      if (++this.#samples === this.#perShard) await this.flush()
    }
  }

  async flush(): Promise<void> {
    const samples = this.#samples
    if (samples === 0) return
    const tensors = this.#layout.fields.map(({ column, bytes }, i): [string, Tensor] => {
      const data = arrayView(column.dtype, this.#parts[i]!.subarray(0, samples * bytes))
      if (data instanceof Float32Array) this.#finish(column.name, data)
      return [column.name, { dtype: column.dtype, shape: [samples, ...column.shape], data }]
    })
    const file = await this.#sink.put(writeSafetensors(tensors))
    this.shards.push({ file, samples })
    this.#samples = 0
  }
}
