import type { TensorSpec } from '@pingo/wire'
import type { Kernel, Tail } from './tail.ts'
import { kernelModule, shapeOf } from './wasm.ts'

/** WebAssembly's memory comes in pages of this many bytes, and at most this many of them. */
const PAGE_BYTES = 65_536
const MAX_PAGES = 65_536
/** Arrays start at multiples of this many bytes (a cache line), and their room is rounded up to it. */
const ALIGN_BYTES = 64

const roomOf = (elements: number): number => Math.ceil((4 * elements) / ALIGN_BYTES) * ALIGN_BYTES
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
  readonly #checks: { bytes: number; address: number }[]
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
    let at = ALIGN_BYTES
    const place = (bytes: number) => {
      const address = at
      at += Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES
      return address
    }
    const specs = [...kept, ...tail.cuts]
    const addresses = new Map(specs.map((spec) => [spec.name, place(4 * elementsOf(spec))]))
    const scalarsAt = place(scalarBytes(tail))
    const memory = new WebAssembly.Memory({ initial: Math.ceil(at / PAGE_BYTES) })
    this.arrays = new Map(
      specs.map((spec) => [spec.name, new Float32Array(memory.buffer, addresses.get(spec.name)!, elementsOf(spec))]),
    )

    const shapes = new Map<string, { kernel: Kernel; index: number }>()
    for (const kernel of tail.kernels) {
      const shape = shapeOf(kernel)
      if (!shapes.has(shape)) shapes.set(shape, { kernel, index: shapes.size })
    }
    const code = kernelModule([...shapes.values()].map(({ kernel }) => kernel))
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { m: { m: memory } })
    this.#finite = exports.finite as (bytes: number, address: number) => number

    let scalarAt = scalarsAt
    this.#launches = tail.kernels.map((kernel) => {
      const address = scalarAt
      scalarAt += 4 * kernel.scalars.length
      const pointers = [...kernel.reads, ...kernel.writes.map(({ name }) => name)].map((name) => addresses.get(name)!)
      return {
        run: exports[String(shapes.get(shapeOf(kernel))!.index)] as (...args: number[]) => void,
        args: [Math.ceil(kernel.size / 4) * 16, ...pointers, address],
        scalars: {
          view: new Float32Array(memory.buffer, address, kernel.scalars.length),
          from: kernel.scalars.map((name) => scalars.get(name) ?? this.arrays.get(name)!),
        },
      }
    })
    this.#checks = tail.cuts.map((spec) => ({
      bytes: roomOf(elementsOf(spec)),
      address: addresses.get(spec.name)!,
    }))
  }

  /** Whether all that the graph handed over is finite: where it is not, nothing must be overwritten. */
  finite(): boolean {
    return this.#checks.every(({ bytes, address }) => this.#finite(bytes, address) === 0)
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
