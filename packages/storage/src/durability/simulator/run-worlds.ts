import { nastyWorld, simulateCare } from './world.ts'

/** Runs worlds in a process of its own: `node run-worlds.ts FROM COUNT`. One JSON line for each; ends after the first violation. */
if (import.meta.main) {
  const [from, count] = process.argv.slice(2).map(Number)
  for (let seed = from!; seed < from! + count!; seed++) {
    const result = await simulateCare(nastyWorld(seed))
    process.stdout.write(`${JSON.stringify(result)}\n`)
    if (result.violation !== undefined) break
  }
}
