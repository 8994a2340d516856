/** What is known of a graph's values without running it. */
export interface Lifetimes {
  /** In the order in which they run. */
  nodes: readonly { inputs: readonly string[]; outputs: readonly string[] }[]
  /** Held for the whole run. */
  inputs: readonly string[]
  /** Held until the end. */
  outputs: readonly string[]
  /** undefined where the size is not known. */
  bytesOf(name: string): number | undefined
  /** Called for a value of unknown size that is the first output of a node or is read; what it returns counts. */
  unknown(name: string, node: number): number
}

/**
 * Greatest sum of the bytes of inputs and values alive at once when nodes run in order and a value is freed after its last reader.
 * Constants and workspace inside operators are not counted.
 */
export function peakBytes({ nodes, inputs, outputs, bytesOf, unknown }: Lifetimes): number {
  const lastRead = new Map<string, number>()
  for (const [i, node] of nodes.entries()) for (const name of node.inputs) lastRead.set(name, i)
  for (const name of outputs) lastRead.set(name, nodes.length)
  // Values that nodes make and that are not freed yet; inputs stay, for they are the caller's.
  const alive = new Map<string, number>()
  let sum = inputs.reduce((bytes, name) => bytes + (bytesOf(name) ?? 0), 0)
  let most = sum
  for (const [i, node] of nodes.entries()) {
    for (const [k, name] of node.outputs.entries()) {
      if (name === '') continue
      // An extra output that nobody reads (Dropout's mask) may be unknown.
      const bytes = bytesOf(name) ?? (k === 0 || lastRead.has(name) ? unknown(name, i) : 0)
      alive.set(name, bytes)
      sum += bytes
    }
    most = Math.max(most, sum)
    for (const name of [...node.inputs, ...node.outputs]) {
      if ((lastRead.get(name) ?? i) > i) continue
      sum -= alive.get(name) ?? 0
      alive.delete(name)
    }
  }
  return most
}
