import { TILE_BYTES, xorModule } from './wasm.ts'

/** Stream `to` becomes the XOR of the streams `of`, of which there is one at least. */
export interface Sum {
  to: number
  of: readonly number[]
}

/** Numbered streams of equal length in one memory, and sums over them. */
export interface Kernel {
  /** Stream `stream`, to write and to read. */
  stream(stream: number): Uint8Array
  /** Sets the sums that {@link run} does. */
  load(sums: readonly Sum[]): void
  /** Does the sums in their order, over whole streams. */
  run(): void
}

export interface KernelSize {
  streams: number
  /** A multiple of 128. */
  streamBytes: number
  /** Terms and targets of all sums together, at most. */
  maxWords: number
}

/** Streams stand so far apart that equal places of them fall into different sets of a processor's cache. */
const GAP_BYTES = TILE_BYTES
const PAGE_BYTES = 64 << 10

let module: WebAssembly.Module | undefined

/** By 128-bit vectors in WebAssembly; undefined where that cannot be had (a page that forbids it, an old processor). */
export function wasmKernel({ streams, streamBytes, maxWords }: KernelSize): Kernel | undefined {
  const stride = streamBytes + GAP_BYTES
  const programAt = streams * stride
  let buffer: ArrayBuffer
  let run: (program: number, end: number, bytes: number) => void
  try {
    module ??= new WebAssembly.Module(xorModule())
    const memory = new WebAssembly.Memory({ initial: Math.ceil((programAt + 4 * maxWords) / PAGE_BYTES) })
    const instance = new WebAssembly.Instance(module, { m: { m: memory } })
    run = instance.exports.run as typeof run
    buffer = memory.buffer
  } catch {
    return undefined
  }
  let end = programAt
  return {
    stream: (stream) => new Uint8Array(buffer, stream * stride, streamBytes),
    load(sums) {
      const words: number[] = []
      for (const { to, of } of sums)
        words.push(to * stride, programAt + 4 * (words.length + 2 + of.length), ...of.map((stream) => stream * stride))
      new Int32Array(buffer, programAt, maxWords).set(words)
      end = programAt + 4 * words.length
    },
    run: () => run(programAt, end, streamBytes),
  }
}

/** By 32-bit words, anywhere: the same bits, many times slower. */
export function scriptKernel({ streams, streamBytes }: KernelSize): Kernel {
  const memory = new ArrayBuffer(streams * streamBytes)
  const words = (stream: number) => new Int32Array(memory, stream * streamBytes, streamBytes / 4)
  let program: readonly Sum[] = []
  return {
    stream: (stream) => new Uint8Array(memory, stream * streamBytes, streamBytes),
    load(sums) {
      program = sums
    },
    run() {
      for (const { to, of } of program) {
        const target = words(to)
        target.set(words(of[0]!))
        for (const stream of of.slice(1)) {
          const source = words(stream)
          for (let i = 0; i < target.length; i++) target[i]! ^= source[i]!
        }
      }
    },
  }
}
