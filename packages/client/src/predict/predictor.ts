import { basename } from 'node:path'
import { Engine, type Session } from '@pingo/engine'
import { type ModelCard, PinGoError } from '@pingo/wire'
import { readModelBytes } from '../prepare/model-file.ts'
import { type GenerateOptions, generateText } from './generate.ts'
import { feedOf, type Reading, readInputs, readingFromCard, readingFromInputs } from './reading.ts'
import { type Prediction, predictionOf, scoresOf } from './scores.ts'

/** A model ready to be used: in an engine of its own, reading files as it was trained to. */
export class Predictor {
  /** The model card beside the model, when there is one. */
  readonly card: ModelCard | undefined
  readonly #engine: Engine
  readonly #session: Session
  readonly #path: string
  readonly #reading: Reading | undefined

  private constructor(o: { engine: Engine; session: Session; path: string; reading: Reading | undefined }) {
    this.#engine = o.engine
    this.#session = o.session
    this.#path = o.path
    this.#reading = o.reading
    this.card = o.reading?.card
  }

  /**
   * Opens an ONNX model; a `model.json` beside it tells the columns and the names of the classes.
   * @throws PinGoError MODEL_NOT_FOUND, MODEL_CARD_INVALID, GRAPH_REFUSED, ENGINE_*
   */
  static async open(path: string, options: { signal?: AbortSignal } = {}): Promise<Predictor> {
    const bytes = await readModelBytes(path)
    const reading = await readingFromCard(path)
    const engine = await Engine.start({ signal: options.signal })
    try {
      return new Predictor({ engine, session: await engine.open(bytes), path, reading })
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  /** Predicts for every sample of a file, in its order. @throws PinGoError DATA_* */
  async *predict(file: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<Prediction> {
    const { inputs, outputs } = this.#session
    const readings = this.#reading ? [this.#reading] : readingFromInputs(inputs, file)
    const fixed = typeof inputs[0]?.shape[0] === 'number' ? inputs[0].shape[0] : undefined
    const name = outputs[0]!.name
    for await (const { batch, reading } of readInputs(file, readings, {
      batchRows: fixed ?? 256,
      signal: options.signal,
    })) {
      const rows = fixed ?? batch.rows
      const feeds = Object.fromEntries(
        inputs.map((input) => [input.name, feedOf(input, columnOf(batch.inputs, reading, input.name), rows)]),
      )
      const output = (await this.#session.run(feeds, [name], options.signal))[name]!
      for (let i = 0; i < batch.rows; i++) {
        const position = batch.lengths ? batch.lengths[i]! - 1 : undefined
        yield predictionOf(batch.first + i, scoresOf(output, i, rows, position), reading.target)
      }
    }
  }

  /** Lets a text model go on with a prompt, a token at a time. @throws PinGoError MODEL_NOT_TEXT, PROMPT_* */
  generate(prompt: string, options: GenerateOptions = {}): AsyncGenerator<string> {
    const input = this.#session.inputs[0]!
    const column = this.#reading?.columns.find((each) => each.role === 'input' && each.vocabulary)
    if (!column)
      throw new PinGoError('MODEL_NOT_TEXT', `${basename(this.#path)} was not trained on text.`, {
        hint: 'Use --input FILE; a text model has a model.json with its vocabulary beside it.',
      })
    return generateText(this.#session, input, column, prompt, options)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function columnOf<T>(inputs: Record<string, T>, reading: Reading, input: string): T {
  const column = inputs[reading.columnOf(input)]
  if (column) return column
  throw new PinGoError('DATA_SHAPE_MISMATCH', `The file holds nothing for the model's input '${input}'.`, {
    hint: `It holds ${Object.keys(inputs).join(', ')}.`,
  })
}
