import type { TensorSpec } from '@pingo/wire'
import { instantiated, TURN_BYTES } from './assembler.ts'
import type { Kernel, Tail } from './tail.ts'
import { finiteFunction, kernelFunction, shapeOf } from './wasm.ts'

/** WebAssembly's memory comes in pages of this many bytes, and at most this many of them. */
const PAGE_BYTES = 65_536
const MAX_PAGES = 65_536
const TURN_ELEMENTS = TURN_BYTES / 4

/** The room of an array, which starts at such a multiple too: whole cache lines. */
const roomOf = (elements: number): number => Math.ceil((4 * elements) / TURN_BYTES) * TURN_BYTES
const elementsOf = ({ shape }: TensorSpec): number => shape.reduce((product, n) => product * n, 1)

interface Launch {
  run(...args: number[]): void
  args: number[]
  scalars: { view: Float32Array; from: Float32Array[] }
}

/**
 * The kernels of a step's tail in one WebAssembly memory, together with the arrays they work on: the kept tensors that they overwrite and
 * the outputs of the graph that they read. ONNX Runtime reads and writes that memory directly.
 */
export class Kernels {
  /** Every array by name; those of kept tensors and cuts. */
  readonly arrays: ReadonlyMap<string, Float32Array<ArrayBuffer>>
  readonly #launches: Launch[]
  readonly #cuts: readonly string[]
  readonly #finite: (bytes: number, address: number) => number

  /** Whether the arrays fit one memory. */
  static fits(kept: readonly TensorSpec[], tail: Tail): boolean {
    const bytes = [...kept, ...tail.cuts].reduce((sum, spec) => sum + roomOf(elementsOf(spec)), 0)
    return bytes + scalarBytes(tail) <= (MAX_PAGES - 1) * PAGE_BYTES
  }

  /**
   * @param kept the tensors that kernels may read or write
   * @param scalars the program's scalars by name, one element each, read at every {@link run}
   */
  constructor(kept: readonly TensorSpec[], tail: Tail, scalars: ReadonlyMap<string, Float32Array>) {
    let at = TURN_BYTES
    const place = (elements: number) => {
      const address = at
      at += roomOf(elements)
      return address
    }
    const specs = [...kept, ...tail.cuts]
    const addresses = new Map(specs.map((spec) => [spec.name, place(elementsOf(spec))]))
    const scalarsAt = place(scalarBytes(tail) / 4)
    const memory = new WebAssembly.Memory({ initial: Math.ceil(at / PAGE_BYTES) })
    this.arrays = new Map(
      specs.map((spec) => [spec.name, new Float32Array(memory.buffer, addresses.get(spec.name)!, elementsOf(spec))]),
    )

    const shapes = new Map<string, { kernel: Kernel; index: number }>()
    for (const kernel of tail.kernels) {
      const shape = shapeOf(kernel)
      if (!shapes.has(shape)) shapes.set(shape, { kernel, index: shapes.size })
    }
    const functions = [...shapes.values()].map(({ kernel, index }) => kernelFunction(kernel, String(index)))
    const exports = instantiated([...functions, finiteFunction('finite')], memory)
    this.#finite = exports.finite!

    let scalarAt = scalarsAt
    this.#launches = tail.kernels.map((kernel) => {
      const address = scalarAt
      scalarAt += 4 * kernel.scalars.length
      const pointers = [...kernel.reads, ...kernel.writes.map(({ name }) => name)].map((name) => addresses.get(name)!)
      return {
        run: exports[String(shapes.get(shapeOf(kernel))!.index)]!,
        args: [roomOf(kernel.size), ...pointers, address],
        scalars: {
          view: new Float32Array(memory.buffer, address, kernel.scalars.length),
          from: kernel.scalars.map((name) => scalars.get(name) ?? this.arrays.get(name)!),
        },
      }
    })
    this.#cuts = tail.cuts.map(({ name }) => name)
  }

  /**
   * Whether some of the arrays hold finite numbers alone: before a step, what the graph handed over, for where it does not, nothing must be overwritten.
   * @param names default: what the graph hands over
   */
  finite(names: readonly string[] = this.#cuts): boolean {
    return names.every((name) => {
      const array = this.arrays.get(name)!
      // What lies between arrays is nobody's, so the last turn's numbers are looked at one by one.
      const whole = array.length - (array.length % TURN_ELEMENTS)
      return this.#finite(4 * whole, array.byteOffset) === 0 && array.subarray(whole).every(Number.isFinite)
    })
  }

  /** Runs every kernel once. */
  run(): void {
    for (const { run, args, scalars } of this.#launches) {
      for (const [i, from] of scalars.from.entries()) scalars.view[i] = from[0]!
      run(...args)
    }
  }
}

const scalarBytes = (tail: Tail): number => 4 * tail.kernels.reduce((sum, { scalars }) => sum + scalars.length, 0)
