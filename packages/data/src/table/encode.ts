import { PinGoError } from '@pingo/wire'
import { isMissingNumber, parseBoolean, parseNumber } from './numbers.ts'
import type { FieldPlan, TargetPlan } from './plan.ts'
import { sizeOfPlan } from './plan.ts'
import { cellText } from './profile.ts'
import type { Cell, Table } from './table.ts'

export type MissingPolicy = 'error' | 'mean' | 'drop'

/** Makes the packed values of a row, or refuses it. */
export class RowEncoder {
  readonly inputSize: number
  readonly targetSize: number
  readonly #table: Table
  readonly #fields: readonly FieldPlan[]
  readonly #target: TargetPlan | undefined
  readonly #missing: MissingPolicy
  /** Fills missing values where the means are known already. */
  readonly #means: readonly number[] | undefined

  constructor(
    table: Table,
    fields: readonly FieldPlan[],
    target: TargetPlan | undefined,
    missing: MissingPolicy,
    means?: readonly number[],
  ) {
    this.#table = table
    this.#fields = fields
    this.#target = target
    this.#missing = missing
    this.#means = means
    this.inputSize = fields.reduce((size, plan) => size + sizeOfPlan(plan), 0)
    this.targetSize = target ? (target.kind === 'class' ? 1 : target.size) : 0
  }

  /** Columns of the table that are looked at. */
  get wanted(): number[] {
    const target = this.#target
      ? this.#target.kind === 'class'
        ? [this.#target.index]
        : this.#target.fields.map((f) => f.index)
      : []
    return [...this.#fields.map((field) => field.index), ...target]
  }

  /**
   * Writes inputSize values to `floats[at]` on, the target behind them (a class id into `ids`, which shares its buffer).
   * False when the row is to be left out.
   */
  encode(row: readonly Cell[], place: number, floats: Float32Array, ids: Int32Array, at: number): boolean {
    for (const plan of this.#fields) {
      const fill = this.#missing === 'mean' ? (this.#means?.[plan.at] ?? Number.NaN) : undefined
      if (!this.#encodeField(plan, row[plan.index]!, place, floats, at + plan.at, fill)) return false
    }
    const target = this.#target
    if (!target) return true
    const behind = at + this.inputSize
    if (target.kind === 'class') {
      const text = cellText(row[target.index]!)
      const id = target.ids.get(text)
      if (id === undefined) {
        if (text === '' || isMissingNumber(text)) {
          if (this.#missing === 'drop') return false
          throw this.#missingValue(
            target.name,
            place,
            'The target must be known in every row: complete it, or leave such rows out (missing: drop).',
          )
        }
        throw target.ids.unknown(text, this.#where(target.name, place), 'class')
      }
      ids[behind] = id
      return true
    }
    return target.fields.every((plan) =>
      this.#encodeField(plan, row[plan.index]!, place, floats, behind + plan.at, undefined),
    )
  }

  #encodeField(
    plan: FieldPlan,
    cell: Cell,
    place: number,
    floats: Float32Array,
    at: number,
    fill: number | undefined,
  ): boolean {
    if (plan.kind === 'number') {
      let value =
        typeof cell === 'number'
          ? cell
          : typeof cell === 'string'
            ? parseNumber(cell, this.#table.decimalComma)
            : Number(cell)
      if (cell === null || Number.isNaN(value)) {
        if (cell === null || typeof cell === 'number' || (typeof cell === 'string' && isMissingNumber(cell))) {
          if (this.#missing === 'drop') return false
          if (fill === undefined) throw this.#missingValue(plan.name, place)
          value = fill
        } else {
          value = typeof cell === 'string' ? parseBoolean(cell) : Number.NaN
          if (Number.isNaN(value)) throw this.#notNumber(plan.name, place, cell)
        }
      } else {
        value = Math.fround(value)
        if (!Number.isFinite(value)) throw this.#notNumber(plan.name, place, cell)
      }
      floats[at] = value
      return true
    }
    if (plan.kind === 'category') {
      const text = cellText(cell)
      if (text === '' && this.#missing === 'drop') return false
      const id = plan.ids.get(text)
      if (id === undefined) {
        if (text === '') throw this.#missingValue(plan.name, place)
        throw plan.ids.unknown(text, this.#where(plan.name, place), 'category')
      }
      floats.fill(0, at, at + plan.ids.names.length)
      floats[at + id] = 1
      return true
    }
    if (cell === null && this.#missing === 'drop') return false
    if (cell === null || typeof cell !== 'object') {
      if (cell === null) throw this.#missingValue(plan.name, place)
      throw this.#notNumber(plan.name, place, cell)
    }
    if (cell.length !== plan.size)
      throw new PinGoError(
        'DATA_ROW_RAGGED',
        `${this.#where(plan.name, place)} has a list of ${cell.length} numbers, it should have ${plan.size}.`,
        {
          hint: 'Give every row a list of equally many numbers.',
        },
      )
    for (let i = 0; i < plan.size; i++) {
      const value = Math.fround(cell[i]!)
      if (!Number.isFinite(value)) throw this.#notNumber(plan.name, place, String(cell[i]))
      floats[at + i] = value
    }
    return true
  }

  #where(column: string, place: number): string {
    return `'${this.#table.path}', ${this.#table.unit} ${place}, column '${column}'`
  }

  #missingValue(column: string, place: number, hint = 'Complete it, or set missing to mean or drop.'): PinGoError {
    return new PinGoError('DATA_MISSING_VALUE', `${this.#where(column, place)} has no value.`, { hint })
  }

  #notNumber(column: string, place: number, cell: Cell): PinGoError {
    return new PinGoError(
      'DATA_NOT_A_NUMBER',
      `${this.#where(column, place)}: '${String(cell).slice(0, 100)}' is not a finite number.`,
      {
        hint: 'Correct the cell, or leave the column out by features.',
      },
    )
  }
}
