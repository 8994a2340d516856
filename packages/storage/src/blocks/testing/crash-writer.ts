/** A process that stores blocks and pins until it is killed: `node crash-writer.ts FOLDER`. Tells on stdout what is durable. */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { cidOf } from '@pingo/wire'
import { BlockStore } from '../block-store.ts'

const LANES = 4
const STDOUT = 1
const store = await BlockStore.open(process.argv[2]!)
const say = (line: string) => writeSync(STDOUT, `${line}\n`)
say('open')
await Promise.all(
  Array.from({ length: LANES }, async () => {
    for (let n = 0; ; n++) {
      const block = randomBytes(n % 3 === 0 ? 200_000 : 500)
      const cid = cidOf(block)
      await store.put(cid, block, { isCold: n % 2 === 0 })
      say(`put ${cid}`)
      if (n % 5 !== 0) continue
      store.pin(cid, 'kept')
      say(`pin ${cid}`)
    }
  }),
)
