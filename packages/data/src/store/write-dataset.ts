import {
  type DatasetManifest,
  DatasetManifestSchema,
  encode,
  MAX_MANIFEST_BYTES,
  MAX_SHARDS,
  PinGoError,
  validate,
} from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import type { FileSink, ImportProgress } from '../import-options.ts'
import type { ImportLimits } from '../limits.ts'
import { Random } from '../order/random.ts'
import type { TemporaryDirectory } from '../temporary-directory.ts'
import { Buckets } from './buckets.ts'
import { type Layout, layoutOf } from './layout.ts'
import { ShardWriter } from './shard-writer.ts'
import type { Source } from './source.ts'
import { Statistics } from './statistics.ts'

const SPLIT_STREAM = 1
const TRAIN_STREAM = 2
const TEST_STREAM = 3

export interface WriteOptions {
  name: string
  source: string
  seed: number
  /** Fraction of the samples for the test split; 0 for none. */
  test: number
  shardBytes: number
  limits: ImportLimits
  /** For the files of a shuffle that does not fit into memory. */
  workspace: TemporaryDirectory
  signal?: AbortSignal
  onProgress?(progress: ImportProgress): void
}

/**
 * Writes the samples of a source as shuffled shards and describes them. Samples are split and shuffled by the seed, in
 * bounded memory.
 */
export async function writeDataset(
  source: Source,
  sink: FileSink,
  options: WriteOptions,
): Promise<{ train: DatasetManifest; test?: DatasetManifest }> {
  const layout = layoutOf(source.columns)
  const { seed, signal, limits, workspace } = options
  checkSize(source.samples, layout, limits)
  checkShards(source.samples, layout, options.shardBytes)
  const tests = testSamples(source, options.test)
  const memoryBytes = limits.memoryBytes / 2
  const stream = (records: number, number: number) =>
    new Buckets({
      records,
      recordBytes: layout.recordBytes,
      seed,
      stream: number,
      memoryBytes,
      directory: () => workspace.path(),
    })
  const train = stream(source.samples - tests, TRAIN_STREAM)
  const test = tests > 0 ? stream(tests, TEST_STREAM) : undefined
  const statistics = new Statistics(layout, source.kind)
  try {
    const draw = splitter(source, tests, seed)
    let samples = 0
    for await (const batch of source.records(signal)) {
      throwIfAborted(signal)
      for (let row = 0; row < batch.rows; row++) {
        const record = batch.data.subarray(row * layout.recordBytes, (row + 1) * layout.recordBytes)
        if (draw(samples++)) test!.add(record)
        else {
          train.add(record)
          statistics.add(record)
        }
      }
      await train.drain()
      await test?.drain()
      options.onProgress?.({ samples, bytes: batch.bytesRead, totalBytes: source.totalBytes })
    }
    if (samples !== source.samples)
      throw new PinGoError('DATA_CHANGED', 'The file changed while it was being imported: import it again.')

    const columns = statistics.describe(source.columns)
    const finish = source.fillMissing ? statistics.filler() : () => {}
    const write = async (buckets: Buckets, count: number, name: string): Promise<DatasetManifest> => {
      const writer = new ShardWriter(layout, count, options.shardBytes, sink, finish)
      for await (const records of buckets.shuffled()) {
        throwIfAborted(signal)
        await writer.write(records)
      }
      await writer.flush()
      return manifestOf({
        name,
        kind: source.kind,
        samples: count,
        columns,
        shards: writer.shards,
        shuffleSeed: seed,
        source: options.source,
      })
    }
    return {
      train: await write(train, source.samples - tests, options.name),
      ...(test ? { test: await write(test, tests, `${options.name}-test`) } : {}),
    }
  } finally {
    await train.close()
    await test?.close()
  }
}

function manifestOf(parts: Omit<DatasetManifest, 'type' | 'version'>): DatasetManifest {
  const manifest = validate(DatasetManifestSchema, { type: 'pingo/dataset', version: 1, ...parts }, 'dataset manifest')
  const bytes = encode(manifest).byteLength
  if (bytes > MAX_MANIFEST_BYTES)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `The description of the dataset takes ${bytes} bytes, at most ${MAX_MANIFEST_BYTES} fit.`,
      {
        hint: 'Use fewer fields or larger shards.',
      },
    )
  return manifest
}

function checkSize(samples: number, { recordBytes }: Layout, limits: ImportLimits): void {
  if (samples < 1) throw new PinGoError('DATA_EMPTY', 'The data hold no sample.')
  if (samples > limits.samples)
    throw new PinGoError('DATA_TOO_LARGE', `The data hold ${samples} samples, at most ${limits.samples} are read.`, {
      hint: 'Import a part of them, or raise limits.samples.',
    })
  if (recordBytes === 0) throw new PinGoError('DATA_EMPTY', 'The samples hold no value: a dimension is 0.')
  const bytes = samples * recordBytes
  if (bytes > limits.datasetBytes)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `The samples take ${bytes} bytes, at most ${limits.datasetBytes} are stored.`,
      {
        hint: 'Import a part of them, or raise limits.datasetBytes.',
      },
    )
}

function checkShards(samples: number, { recordBytes }: Layout, shardBytes: number): void {
  const shards = Math.ceil(samples / Math.max(1, Math.floor(shardBytes / recordBytes)))
  if (shards > MAX_SHARDS)
    throw new PinGoError('DATA_TOO_LARGE', `The samples make ${shards} shards, at most ${MAX_SHARDS} fit.`, {
      hint: `Use shardBytes of at least ${Math.ceil((samples * recordBytes) / MAX_SHARDS)}.`,
    })
}

/** How many samples are for the test split; both splits keep at least one. */
function testSamples({ samples, testFrom }: Source, fraction: number): number {
  if (testFrom !== undefined) return samples - testFrom
  if (fraction === 0) return 0
  if (samples < 2)
    throw new PinGoError('DATA_EMPTY', 'A single sample cannot be split into training and test: leave out test.')
  return Math.min(samples - 1, Math.max(1, Math.round(samples * fraction)))
}

/** Tells for each sample in turn whether it is for testing: exactly `tests` of all, every choice equally likely (Knuth, TAOCP 2, 3.4.2, algorithm S). */
function splitter({ samples, testFrom }: Source, tests: number, seed: number): (sample: number) => boolean {
  if (testFrom !== undefined) return (sample) => sample >= testFrom
  const random = Random.from(seed, SPLIT_STREAM)
  let wanted = tests
  return (sample) => {
    if (wanted === 0 || random.below(Math.max(1, samples - sample)) >= wanted) return false
    wanted--
    return true
  }
}
