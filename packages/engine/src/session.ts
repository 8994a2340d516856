import { arrayOf, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { MAX_FEEDS } from './limits.ts'
import type { Link } from './link.ts'
import type { OpenReply, PlainTensor, ValueSpec } from './protocol.ts'

/** An open graph. */
export interface Session {
  readonly inputs: readonly ValueSpec[]
  readonly outputs: readonly ValueSpec[]
  /**
   * Runs the graph once.
   * @param feeds a tensor for every input, of the input's element type and shape; symbolic dimensions take any size
   * @param fetches names of the outputs wanted, default all
   * @param signal an abort while the run is in progress kills the engine, for nothing else ends a run
   * @throws PinGoError TENSOR_MISMATCH (feeds or fetches do not fit), ENGINE_RUN_FAILED (the graph's own error, e.g. an index out of
   * range), ENGINE_TIMEOUT, ENGINE_MEMORY, ENGINE_CRASHED, ENGINE_KILLED, ENGINE_ABORTED, ENGINE_CLOSED
   */
  run(feeds: Record<string, Tensor>, fetches?: string[], signal?: AbortSignal): Promise<Record<string, Tensor>>
  /** Frees the graph's memory in the child. */
  close(): Promise<void>
}

export class ChildSession implements Session {
  readonly inputs: readonly ValueSpec[]
  readonly outputs: readonly ValueSpec[]
  readonly #link: Link
  readonly #id: number
  readonly #runTimeoutMs: number
  #closed = false

  constructor(link: Link, reply: OpenReply, runTimeoutMs: number) {
    this.#link = link
    this.#id = reply.session
    this.#runTimeoutMs = runTimeoutMs
    this.inputs = reply.inputs
    this.outputs = reply.outputs
  }

  async run(
    feeds: Record<string, Tensor>,
    fetches: string[] = this.outputs.map(({ name }) => name),
    signal?: AbortSignal,
  ): Promise<Record<string, Tensor>> {
    if (this.#closed) throw new PinGoError('ENGINE_CLOSED', 'The session was closed. Open the graph again.')
    const checked = checkFeeds(this.inputs, feeds)
    for (const name of fetches)
      if (!this.outputs.some((output) => output.name === name))
        throw mismatch(`the graph has no output '${name}'; its outputs are ${names(this.outputs)}`)
    const call = { type: 'run', session: this.#id, feeds: checked, fetches } as const
    return checkResults(await this.#link.call(call, this.#runTimeoutMs, signal), fetches)
  }

  async close(): Promise<void> {
    if (this.#closed || this.#link.death) return
    this.#closed = true
    await this.#link.call({ type: 'close', session: this.#id }, this.#runTimeoutMs)
  }
}

function checkFeeds(inputs: readonly ValueSpec[], feeds: Record<string, Tensor>): Record<string, PlainTensor> {
  const given = Object.keys(feeds)
  if (given.length > MAX_FEEDS) throw mismatch(`${given.length} feeds are over the limit of ${MAX_FEEDS}`)
  for (const name of given)
    if (!inputs.some((input) => input.name === name))
      throw mismatch(`the graph has no input '${name}'; its inputs are ${names(inputs)}`)
  const checked: Record<string, PlainTensor> = {}
  for (const input of inputs) {
    const tensor = feeds[input.name]
    if (!tensor) throw mismatch(`the input '${input.name}' is not fed`)
    checkTensor(input, tensor)
    checked[input.name] = { dtype: tensor.dtype, shape: tensor.shape, data: tensor.data }
  }
  return checked
}

/** Throws TENSOR_MISMATCH unless a tensor is whole and fits its specification. */
function checkTensor({ name, dtype, shape }: ValueSpec, tensor: Tensor): void {
  if (tensor.dtype !== dtype) throw mismatch(`'${name}' is ${tensor.dtype}, the graph wants ${dtype}`)
  if (!(tensor.data instanceof arrayOf[dtype]))
    throw mismatch(`the elements of '${name}' are not in a ${arrayOf[dtype].name}`)
  const fits =
    tensor.shape.length === shape.length &&
    shape.every((n, axis) => (typeof n === 'string' ? tensor.shape[axis]! >= 0 : n === tensor.shape[axis]))
  if (!fits)
    throw mismatch(`'${name}' has the shape [${tensor.shape}], the graph wants [${shape.map((n) => n || 'any')}]`)
  if (tensor.data.length !== sizeOf(tensor.shape))
    throw mismatch(
      `'${name}' has ${tensor.data.length} elements, its shape [${tensor.shape}] wants ${sizeOf(tensor.shape)}`,
    )
}

/** The child is not trusted more than its graphs: what it returns is checked to be whole. */
function checkResults(value: unknown, fetches: string[]): Record<string, Tensor> {
  const results = value as Record<string, Tensor>
  for (const name of fetches) {
    const tensor = results?.[name]
    const type = tensor && Object.hasOwn(arrayOf, tensor.dtype) ? arrayOf[tensor.dtype] : undefined
    if (
      !type ||
      !(tensor!.data instanceof type) ||
      !Array.isArray(tensor!.shape) ||
      tensor!.data.length !== sizeOf(tensor!.shape)
    )
      throw new PinGoError('ENGINE_RUN_FAILED', `The engine returned no whole tensor for the output '${name}'.`)
  }
  return results
}

const names = (values: readonly ValueSpec[]): string => values.map(({ name }) => `'${name}'`).join(', ') || 'none'

const mismatch = (why: string): PinGoError => new PinGoError('TENSOR_MISMATCH', `The graph cannot run: ${why}.`)
