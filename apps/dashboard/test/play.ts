/**
 * Shows the page without a network: builds it, serves it and plays a recorded job, a round each 1.5 s, over and over.
 * `node apps/dashboard/test/play.ts [PORT]`
 */

import { TestGateway } from './gateway.ts'
import { buildPages } from './pages.ts'
import { record } from './recording.ts'
import { Stage } from './stage.ts'

const ROUND_MS = 1_500
const STEPS = 5

const pages = await buildPages()
for (let port = Number(process.argv[2] ?? 0); ; ) {
  const stage = new Stage(record(1))
  const gateway = new TestGateway(stage, pages.folder, stage.now)
  port = await gateway.listen(port)
  process.stdout.write(`http://127.0.0.1:${port}/#/jobs/${stage.recording.job.id}\n`)
  await pause(3_000)
  stage.start()
  while (stage.played < stage.recording.rounds.length) {
    for (let step = 1; step < STEPS; step++) {
      await pause(ROUND_MS / STEPS)
      stage.progress((7_500 / STEPS) * step)
    }
    await pause(ROUND_MS / STEPS)
    stage.advance()
  }
  stage.finish()
  await pause(20_000)
  await gateway.close()
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
