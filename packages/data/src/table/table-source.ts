import { type Column, type DatasetManifest, PinGoError } from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import { ClassIds } from '../classes.ts'
import type { ImportOptions } from '../import-options.ts'
import { layoutOf } from '../store/layout.ts'
import type { Source } from '../store/source.ts'
import { RowEncoder } from './encode.ts'
import { type FieldPlan, noColumn, packedColumn, planFields, plansFrom, planTarget, type TargetPlan } from './plan.ts'
import { profile } from './profile.ts'
import { autoName, isAutoName, type Table } from './table.ts'

const TARGET_NAMES = ['label', 'target', 'class', 'y']
/** Values encoded before they are handed on. */
const BATCH_VALUES = 1 << 18

/**
 * A table as samples: one packed column `input` float32 [fields], and, unless it is `unlabelled`, `target` (class ids int32 [], or
 * float32 [] or [k]).
 * Reads the file twice: once to learn what the columns hold, once to encode them.
 */
export async function tableSource(table: Table, options: ImportOptions): Promise<Source> {
  const missing = options.missing ?? 'error'
  const { columns, encoder, samples } = options.like
    ? likePlan(table, options.like, missing)
    : await freshPlan(table, options, missing)
  return {
    kind: 'tabular',
    columns,
    samples: samples ?? (await countRows(table, encoder, options.signal)),
    totalBytes: table.totalBytes,
    fillMissing: missing === 'mean' && !options.like,
    async *records(signal) {
      const { recordBytes } = layoutOf(columns)
      for await (const { floats, rows, bytesRead } of encodedRows(table, encoder, signal))
        yield { rows, bytesRead, data: new Uint8Array(floats.buffer, 0, rows * recordBytes) }
    },
  }
}

interface Plan {
  columns: Column[]
  encoder: RowEncoder
  /** Unknown when rows may be left out, or have not been looked at yet. */
  samples: number | undefined
}

async function freshPlan(
  table: Table,
  options: ImportOptions,
  missing: NonNullable<ImportOptions['missing']>,
): Promise<Plan> {
  const targets = options.unlabelled && options.target === undefined ? [] : targetColumns(table, options.target)
  const features = featureColumns(table, options.features, targets)
  const { rows, columns } = await profile(table, [...features, ...targets], new Set(targets), options.signal)
  if (rows === 0)
    throw new PinGoError('DATA_EMPTY', `'${table.path}' holds no row of data.`, {
      hint: 'Give a file that holds data.',
    })
  const first = columns.get(0)
  const rowNumbers =
    first &&
    !options.features &&
    !targets.includes(0) &&
    table.named &&
    isAutoName(first.name) &&
    first.counts &&
    first.numbers === rows
  const profiles = new Map(features.filter((i) => !(rowNumbers && i === 0)).map((i) => [i, columns.get(i)!]))
  if (profiles.size === 0)
    throw new PinGoError('DATA_NO_FEATURES', `'${table.path}' has no column to predict from besides the target.`, {
      hint: 'A table needs at least two columns: check its delimiter.',
    })
  const target = targets.length
    ? planTarget(table.path, new Map(targets.map((i) => [i, columns.get(i)!])), rows, options.task)
    : undefined
  const fields = planFields(table.path, profiles)
  return {
    columns: [
      { name: 'input', role: 'input', dtype: 'float32', ...packedColumn(fields) },
      ...(target ? [targetColumn(target, targets.length > 1)] : []),
    ],
    encoder: new RowEncoder(table, fields, target, missing),
    samples: missing === 'drop' ? undefined : rows,
  }
}

function targetColumn(target: TargetPlan, several: boolean): Column {
  if (target.kind === 'class')
    return {
      name: 'target',
      role: 'target',
      dtype: 'int32',
      shape: [],
      classes: [...target.ids.names],
      fields: [target.name],
    }
  const { fields, shape } = packedColumn(target.fields)
  const scalar = !several && target.fields[0]!.kind === 'number'
  return { name: 'target', role: 'target', dtype: 'float32', shape: scalar ? [] : shape, fields }
}

function targetColumns(table: Table, target: string | undefined): number[] {
  const { columns, path } = table
  if (target === undefined) {
    for (const usual of TARGET_NAMES) {
      const found = columns.findIndex((name) => name.toLowerCase() === usual)
      if (found >= 0) return [found]
    }
    return [columns.length - 1]
  }
  const whole = columnIndex(columns, target)
  if (whole >= 0) return [whole]
  const names = target.split(',').map((name) => name.trim())
  const indices = names.map((name) => columnIndex(columns, name))
  const unknown = indices.indexOf(-1)
  if (unknown >= 0) throw noColumn(path, names.length > 1 ? names[unknown]! : target, columns)
  return [...new Set(indices)]
}

/** By its exact name, else by the only one that is equal but for upper and lower case. */
function columnIndex(columns: readonly string[], wanted: string): number {
  const exact = columns.indexOf(wanted)
  if (exact >= 0) return exact
  const same = columns.flatMap((name, i) => (name.toLowerCase() === wanted.trim().toLowerCase() ? [i] : []))
  return same.length === 1 ? same[0]! : -1
}

/** In the order of the file. */
function featureColumns(
  { columns, path }: Table,
  features: readonly string[] | undefined,
  targets: readonly number[],
): number[] {
  if (!features) return columns.map((_, i) => i).filter((i) => !targets.includes(i))
  const indices = features.map((name) => {
    const index = columnIndex(columns, name)
    if (index < 0) throw noColumn(path, name, columns)
    if (targets.includes(index))
      throw new PinGoError('DATA_OPTION', `Column '${name}' is the target and cannot be a feature too.`, {
        hint: 'Take it out of features, or name another target.',
      })
    return index
  })
  return [...new Set(indices)].sort((a, b) => a - b)
}

function likePlan(
  table: Table,
  like: Pick<DatasetManifest, 'columns' | 'kind'>,
  missing: 'error' | 'mean' | 'drop',
): Plan {
  const { fields, means } = inputPlan(table, like)
  const column = like.columns.find(({ role }) => role === 'target')
  if (!column)
    return {
      columns: like.columns,
      encoder: new RowEncoder(table, fields, undefined, missing, means),
      samples: undefined,
    }
  const indexOf = namedIndex(table, like)
  const names = column.fields ?? ['target']
  const target: TargetPlan = column.classes
    ? { kind: 'class', index: indexOf(names[0]!), name: names[0]!, ids: new ClassIds(column.classes) }
    : { kind: 'numbers', fields: plansFrom(column, indexOf), size: names.length }
  const absent =
    target.kind === 'class' ? (target.index < 0 ? target : undefined) : target.fields.find(({ index }) => index < 0)
  if (absent) throw noColumn(table.path, absent.name, table.columns, 'target column')
  return {
    columns: like.columns,
    encoder: new RowEncoder(table, fields, target, missing, means),
    samples: undefined,
  }
}

/** How the inputs of an imported dataset are made from another table, which may lack the target. */
export function inputPlan(
  table: Table,
  like: Pick<DatasetManifest, 'columns' | 'kind'>,
): { fields: FieldPlan[]; means: number[] | undefined } {
  const column = like.columns.find(({ role, fields }) => role === 'input' && fields)
  if (like.kind !== 'tabular' || !column)
    throw new PinGoError('DATA_UNLIKE', `'${table.path}' is a table, the dataset to follow holds ${like.kind} data.`, {
      hint: 'Give a file of the same kind.',
    })
  const fields = plansFrom(column, namedIndex(table, like))
  const absent = fields.find(({ index }) => index < 0)
  if (absent) throw noColumn(table.path, absent.name, table.columns)
  return { fields, means: column.mean }
}

/**
 * Finds the columns of another table by name. Without names they are found by their places, when the table has as many
 * columns as there are inputs, or as the dataset was made from.
 */
function namedIndex(table: Table, like: Pick<DatasetManifest, 'columns'>): (name: string) => number {
  const byName = (name: string) => table.columns.indexOf(name)
  const input = like.columns.find(({ role }) => role === 'input')!
  const target = like.columns.find(({ role }) => role === 'target')
  const names = plansFrom(input, () => 0).map(({ name }) => name)
  const nameless = names.every(isAutoName)
  if (table.named && !nameless) return byName
  if (table.columns.length === names.length) return (name) => names.indexOf(name)
  const targets = target?.fields ?? []
  if (nameless && table.columns.length >= names.length + targets.length)
    return (name) => table.columns.findIndex((_, i) => autoName(i) === name)
  if (table.named) return byName
  throw new PinGoError(
    'DATA_NO_HEADER',
    `'${table.path}' has ${table.columns.length} columns without names, the dataset to follow has ${names.length} inputs.`,
    {
      hint: `Put a first line with names into it: ${[...names, ...targets].slice(0, 6).join(', ')}${names.length > 5 ? ', …' : ''}.`,
    },
  )
}

async function countRows(table: Table, encoder: RowEncoder, signal?: AbortSignal): Promise<number> {
  let samples = 0
  for await (const { rows } of encodedRows(table, encoder, signal)) samples += rows
  return samples
}

/** Encoded rows in batches of a bounded size; the array is reused. */
export async function* encodedRows(
  table: Table,
  encoder: RowEncoder,
  signal?: AbortSignal,
  batchRows?: number,
): AsyncIterable<{ floats: Float32Array; rows: number; bytesRead: number }> {
  const size = encoder.inputSize + encoder.targetSize
  const capacity = batchRows ?? Math.max(1, Math.floor(BATCH_VALUES / size))
  const floats = new Float32Array(capacity * size)
  const ids = new Int32Array(floats.buffer)
  let filled = 0
  let read = 0
  for await (const { rows, places, bytesRead } of table.read(encoder.wanted, signal)) {
    throwIfAborted(signal)
    read = bytesRead
    for (let r = 0; r < rows.length; r++) {
      if (encoder.encode(rows[r]!, places[r]!, floats, ids, filled * size)) filled++
      if (filled < capacity) continue
      yield { floats, rows: filled, bytesRead }
      filled = 0
    }
  }
  if (filled > 0) yield { floats, rows: filled, bytesRead: read }
}
