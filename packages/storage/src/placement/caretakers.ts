import { CARETAKERS, type NodeRecord } from '@pingo/wire'
import { place } from './place.ts'

/**
 * The nodes that see to an object (or keep a name), best first: who acts is the first that lives. By id and failure domain alone,
 * not by what is free or measured: every machine that knows the same nodes must come to the same ones.
 * @param n how many; more than there should be, to find those of before the network grew
 */
export function caretakersOf<N extends { readonly record: NodeRecord }>(
  id: string,
  nodes: readonly N[],
  n: number = CARETAKERS,
): N[] {
  const candidates = nodes.map((node) => ({ id: node.record.peerId, weight: 1, domain: node.record.domain, node }))
  return place(id, candidates, n).map(({ node }) => node)
}

/**
 * Whether a node may speak as an object's caretaker: it is one by the nodes that are known here, or next in rank, since others may know
 * a few more or fewer.
 */
export function mayCareFor(peerId: string, id: string, records: readonly NodeRecord[]): boolean {
  const candidates = records.map((record) => ({ id: record.peerId, weight: 1, domain: record.domain }))
  return place(id, candidates, 2 * CARETAKERS).some((candidate) => candidate.id === peerId)
}
