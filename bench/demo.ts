import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Row } from './run.ts'

export const summary = '`npm start -- --exit --json`: accuracy and time of the demo'

const LEAST_ACCURACY = 0.985
const MOST_SECONDS = 120

export default async function demo(args: string[]): Promise<Row[]> {
  const child = spawn('npm', ['start', '--silent', '--', '--exit', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`the demo ended with exit code ${code}`)
  const { accuracy, seconds } = JSON.parse(lines.at(-1)!) as { accuracy: number; seconds: number }
  return [
    {
      name: 'accuracy on the 10,000 test images',
      measured: accuracy,
      bar: `≥ ${LEAST_ACCURACY}`,
      holds: accuracy >= LEAST_ACCURACY,
    },
    { name: 'submit to fetched file (s)', measured: seconds, bar: `≤ ${MOST_SECONDS}`, holds: seconds <= MOST_SECONDS },
  ]
}
