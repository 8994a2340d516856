import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BlockStore } from '../blocks/block-store.ts'
import { toCid } from '../blocks/key.ts'

/** A gateway that gives every chunk it has with one byte changed: for whoever does not check what comes. */
export function corruptAnswers(node: () => { blocks: BlockStore }) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const [, cid] = /^\/ipfs\/([a-z0-9]+)\?format=raw$/.exec(request.url ?? '') ?? []
    if (cid === undefined) return false
    void node()
      .blocks.get(toCid(cid))
      .then(
        (bytes) => {
          const wrong = Buffer.from(bytes)
          if (wrong.byteLength > 0) wrong[wrong.byteLength >> 1]! ^= 1
          response.writeHead(200, { 'content-length': wrong.byteLength }).end(wrong)
        },
        () => response.writeHead(404).end(),
      )
    return true
  }
}
