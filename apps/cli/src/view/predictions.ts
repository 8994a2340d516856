import type { Prediction } from '@pingo/client'

/** How predictions are written down, one after the other. */
export interface PredictionForm {
  /** What stands before the first one; its columns are taken from it. */
  head(first: Prediction): string
  line(prediction: Prediction, isFirst: boolean): string
  /** What stands behind the last one. */
  tail(isEmpty: boolean): string
}

const CLASS_WIDTH = 16
const SHOWN_CLASSES = 6

const csv = (): PredictionForm => ({
  head: ({ values, probabilities, class: name }) =>
    `${['row', ...(name === undefined ? (values ?? []).map((_, i) => (i === 0 && values?.length === 1 ? 'value' : `value${i + 1}`)) : ['class', 'probability', ...Object.keys(probabilities ?? {}).map((each) => `p(${each})`)])].map(cell).join(',')}\n`,
  line: ({ row, values, class: name, probability, probabilities }) =>
    `${[row, ...(name === undefined ? (values ?? []) : [name, short(probability!), ...Object.values(probabilities ?? {}).map(short)])].map((each) => cell(String(each))).join(',')}\n`,
  tail: () => '',
})

const jsonl = (): PredictionForm => ({
  head: () => '',
  line: (prediction) => `${JSON.stringify(prediction)}\n`,
  tail: () => '',
})

const json = (): PredictionForm => ({
  head: () => '[\n',
  line: (prediction, isFirst) => `${isFirst ? '' : ',\n'}  ${JSON.stringify(prediction)}`,
  tail: (isEmpty) => (isEmpty ? '[]\n' : '\n]\n'),
})

const table = (): PredictionForm => ({
  head: ({ class: name }) =>
    name === undefined
      ? `${'ROW'.padStart(6)}  VALUE\n`
      : `${'ROW'.padStart(6)}  ${'CLASS'.padEnd(CLASS_WIDTH)}  SURE     NEXT\n`,
  line({ row, values, class: name, probability, probabilities = {} }) {
    if (name === undefined)
      return `${String(row).padStart(6)}  ${(values ?? []).map((value) => Number(value.toPrecision(6))).join('  ')}\n`
    const others = Object.entries(probabilities)
      .filter(([other]) => other !== name)
      .sort(([, a], [, b]) => b - a)
      .slice(0, SHOWN_CLASSES - 1)
      .filter(([, p]) => p >= 0.0005)
      .map(([other, p]) => `${visible(other)} ${percent(p)}`)
    return `${String(row).padStart(6)}  ${visible(name).padEnd(CLASS_WIDTH)}  ${percent(probability!).padStart(7)}  ${others.join('  ')}`
      .trimEnd()
      .concat('\n')
  },
  tail: () => '',
})

export const predictionForms = { csv, json, jsonl, table } as const

const percent = (value: number): string => `${(value * 100).toFixed(1)} %`
const short = (value: number): number => Number(value.toPrecision(6))
const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
/** A class name on one line: a token may be a line break. */
const visible = (text: string): string => (/^[^\S ]|^ $|\n/.test(text) ? JSON.stringify(text) : text)
