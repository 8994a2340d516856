import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const SCRIPT = join(import.meta.dirname, 'pytorch.py')
/** Interpreters that are tried, Debian's own first: python3-torch installs for that one. */
const INTERPRETERS = ['/usr/bin/python3', 'python3']
/** A reference that computes its matrix products with the slow stand-in library says nothing about PyTorch. */
const HONEST_BLAS = ['openblas', 'mkl', 'blis']

/** Settings that some machines carry for old versions of OpenBLAS: they would slow the reference. */
function environment(): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...rest } = process.env
  return { ...rest, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
}

/** The interpreter that has PyTorch with a fast BLAS, or why there is none. */
export function findPyTorch(): { python: string } | { missing: string } {
  for (const python of INTERPRETERS) {
    const probe = 'import torch; torch.ones(64, 64) @ torch.ones(64, 64); print(open("/proc/self/maps").read())'
    const { status, stdout } = spawnSync(python, ['-c', probe], { encoding: 'utf8', env: environment() })
    if (status !== 0) continue
    if (!HONEST_BLAS.some((name) => stdout.includes(name)))
      return { missing: 'PyTorch runs on the reference BLAS here; install libopenblas0' }
    return { python }
  }
  return { missing: 'PyTorch is not installed (Debian: python3-torch libopenblas0)' }
}

/** A process of PyTorch that trains one model and answers when asked. */
export class PyTorch {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  static async start(python: string, model: string): Promise<PyTorch> {
    const reference = new PyTorch(python, model)
    await reference.#answer()
    return reference
  }

  private constructor(python: string, model: string) {
    this.#child = spawn(python, [SCRIPT, model], { stdio: ['pipe', 'pipe', 'inherit'], env: environment() })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  /** Milliseconds a step, the mean of `steps`. */
  async train(steps: number): Promise<number> {
    this.#child.stdin!.write(`${steps}\n`)
    return (await this.#answer()).mean!
  }

  /** Most resident bytes so far, above those after the import. */
  async memory(): Promise<number> {
    this.#child.stdin!.write('memory\n')
    return (await this.#answer()).bytes!
  }

  close(): void {
    this.#child.kill()
  }

  async #answer(): Promise<Record<string, number>> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('PyTorch ended; its message stands above.')
    return JSON.parse(value)
  }
}
