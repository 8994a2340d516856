import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID, DAG_CBOR, DAG_PB } from '@pingo/wire'

/** The CIDs that a block links to: those of a dag-pb or dag-cbor node, none of raw bytes. @throws for a block that is none */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  if (cid.code === DAG_PB) return dagPb.decode(bytes).Links.map(({ Hash }) => Hash)
  if (cid.code !== DAG_CBOR) return []
  const links: CID[] = []
  collect(dagCbor.decode(bytes), links)
  return links
}

function collect(value: unknown, links: CID[]): void {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return
  const link = CID.asCID(value)
  if (link) links.push(link)
  else for (const member of Object.values(value)) collect(member, links)
}
