/**
 * The program of an owner: keeps a core busy for `--busy` ms out of every `--every` ms, for `--total` ms, and prints how much it got done. Started
 * with `--wait` it says 'ready' and begins with the first line on its standard input, so that several begin together.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const CHUNK = 20_000

const { values } = parseArgs({
  options: { busy: { type: 'string' }, every: { type: 'string' }, total: { type: 'string' } },
})
const [busy, every, total] = [values.busy, values.every, values.total].map(Number) as [number, number, number]

let x = 1
/** A fixed piece of arithmetic. */
function chunk(): void {
  for (let i = 0; i < CHUNK; i++) x = Math.sqrt(x * 1.000001 + i)
}

for (let i = 0; i < 500; i++) chunk() // compiled before it counts
console.log('ready')
await once(process.stdin, 'data')
const began = performance.now()
let chunks = 0
for (let at = began; at < began + total; at += every) {
  for (const end = Math.min(at + busy, began + total); performance.now() < end; chunks++) chunk()
  const pause = at + every - performance.now()
  if (pause > 0 && at + every < began + total) await sleep(pause)
}
console.log(JSON.stringify({ chunks, x: x > 0 }))
process.exit(0)
