import { writeModel } from '@pingo/graph'
import type { Tensor } from '@pingo/wire'
import type { Session } from './session.ts'

/**
 * Work whose answer is the same bit for bit on every machine and whose amount is known: what fog nodes ask for to see what a machine can do.
 *
 * A **link** expands 32 bytes into a 256×256 matrix, takes 128 of its rows through a chain of float32 matrix products with a reduction between, and hashes what
 * comes out. The next link starts from that hash, so links can only be done one after the other. All values are integers: X is at most 2047 in size
 * and M at most 17, so every partial sum of 256 products is below 2²⁴ and exact in float32, in any order, with or without fused multiply-add. The reduction
 * (r = y − q·⌊y·(1/q)⌋, then |r − h|) rounds once and the same everywhere; the fold is not linear, so a chain of products cannot be replaced by a power of M.
 *
 * Not covered: who writes integer code for it (16-bit dot products) may be up to about twice as fast as in float32.
 */

/** M is SIDE × SIDE, X has ROWS rows of SIDE. */
export const CHALLENGE_SIDE = 256
export const CHALLENGE_ROWS = 128
/** Products in a link; a graph for each. The small ones are for slow machines and short rounds. */
export const CHALLENGE_PRODUCTS = [4, 16, 64, 256] as const
export type ChallengeProducts = (typeof CHALLENGE_PRODUCTS)[number]

/** Prime, for X; its half, and the modulus for M and its half. */
const [Q, H, P, G] = [4093, 2046, 33, 16]

/** Float32 operations of the products of one link; the reductions are not counted. */
export const flopsOfLink = (products: number): number => 2 * CHALLENGE_ROWS * CHALLENGE_SIDE ** 2 * products

/** The graph of a link: `z` (SIDE × SIDE, integers of 16 bits) in, `x` (ROWS × SIDE) out. */
export function challengeGraph(products: number): Uint8Array {
  const nodes: {
    name: string
    op: string
    domain: ''
    inputs: string[]
    outputs: string[]
    attributes: Record<string, never>
  }[] = []
  const node = (op: string, inputs: string[], output = `v${nodes.length}`): string => {
    nodes.push({ name: `n${nodes.length}`, op, domain: '', inputs, outputs: [output], attributes: {} })
    return output
  }
  const modulo = (y: string, by: 'q' | 'p') =>
    node('Sub', [y, node('Mul', [node('Floor', [node('Mul', [y, `${by}Inverse`])]), by])])
  const m = node('Sub', [modulo('z', 'p'), 'g'])
  let x = node('Abs', [node('Sub', [modulo(node('Slice', ['z', 'from', 'to']), 'q'), 'h'])])
  for (let i = 1; i <= products; i++)
    x = node('Abs', [node('Sub', [modulo(node('MatMul', [x, m]), 'q'), 'h'])], i === products ? 'x' : undefined)
  const scalar = (value: number): Tensor => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) })
  const index = (value: number): Tensor => ({ dtype: 'int64', shape: [1], data: BigInt64Array.of(BigInt(value)) })
  return writeModel({
    irVersion: 8,
    opset: 17,
    producer: 'pingo',
    metadata: {},
    graph: {
      name: 'challenge',
      nodes,
      inputs: [{ name: 'z', dtype: 'float32', shape: [CHALLENGE_SIDE, CHALLENGE_SIDE] }],
      outputs: [{ name: 'x', dtype: 'float32', shape: [CHALLENGE_ROWS, CHALLENGE_SIDE] }],
      initializers: new Map([
        ['q', scalar(Q)],
        ['qInverse', scalar(1 / Q)],
        ['h', scalar(H)],
        ['p', scalar(P)],
        ['pInverse', scalar(1 / P)],
        ['g', scalar(G)],
        ['from', index(0)],
        ['to', index(CHALLENGE_ROWS)],
      ]),
    },
  })
}

/** Runs the graph of a link: z in, x out. */
export type RunLink = (z: Float32Array) => Promise<Float32Array>

/** A link's graph as an engine has it open. */
export const runIn =
  (session: Session): RunLink =>
  async (z) => {
    const feeds = { z: { dtype: 'float32', shape: [CHALLENGE_SIDE, CHALLENGE_SIDE], data: z } } as const
    return (await session.run(feeds)).x!.data as Float32Array
  }

/** Where the first link starts: of one question, one identity and one slice, so that nobody can use another's answer. 32 bytes. */
export function challengeStart(seed: Uint8Array, peer: string, slice: number): Promise<Uint8Array> {
  const who = new TextEncoder().encode(`pingo/challenge/1 ${peer} ${slice} `)
  return digest(who, seed)
}

/** One link: its answer, 32 bytes, from the answer before (or the start). */
export async function challengeLink(before: Uint8Array, run: RunLink): Promise<Uint8Array> {
  const x = await run(await challengeInput(before))
  return digest(before, new Uint8Array(x.buffer, x.byteOffset, x.byteLength))
}

/** The matrix of a link: the AES-CTR key stream of its 32 bytes, as integers of 16 bits. */
export async function challengeInput(before: Uint8Array): Promise<Float32Array> {
  const { subtle } = globalThis.crypto
  const key = await subtle.importKey('raw', bytes(before.subarray(0, 16)), 'AES-CTR', false, ['encrypt'])
  const algorithm = { name: 'AES-CTR', counter: bytes(before.subarray(16, 32)), length: 64 }
  return new Float32Array(new Uint16Array(await subtle.encrypt(algorithm, key, ZEROS)))
}

const ZEROS = new Uint8Array(2 * CHALLENGE_SIDE ** 2)

async function digest(first: Uint8Array, second: Uint8Array): Promise<Uint8Array> {
  const all = new Uint8Array(first.byteLength + second.byteLength)
  all.set(first)
  all.set(second, first.byteLength)
  return new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', all))
}

/** A copy that lies in memory of its own, as WebCrypto's types want it. */
const bytes = (view: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(view)
