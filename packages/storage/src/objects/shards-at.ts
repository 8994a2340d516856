import { isPinGoError } from '@pingo/wire'
import type { NodeMap } from '../nodes/port.ts'
import { Caretakers } from './locate.ts'

/**
 * Shards of an object that are at a node, as its caretakers tell; 0 when nobody cares for it any more.
 * @throws PinGoError when those that know do not answer; the signal's reason
 */
export async function shardsAt(peerId: string, id: string, nodes: NodeMap, signal?: AbortSignal): Promise<number> {
  const caretakers = new Caretakers(id, nodes)
  try {
    const { manifest } = await caretakers.locate(signal)
    let count = 0
    for (let part = 0; part < manifest.parts.length; part++)
      for (const stripe of (await caretakers.holders(manifest, part, signal)) ?? [])
        count += stripe.filter((holder) => holder === peerId).length
    return count
  } catch (error) {
    if (isPinGoError(error, 'OBJECT_MISSING')) return 0
    throw error
  }
}
