import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { table } from './run.ts'

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url))

it('prints what was measured against its bar, and says so when it could not be judged', () => {
  const text = table([
    { name: 'speed', measured: 1234.5678, bar: '≥ 1000', holds: true, unit: 'samples/s' },
    { name: 'ratio', measured: 0.84321, bar: '≥ 0.85', holds: false },
    { name: 'noise', measured: 'none', bar: '≤ 1', holds: null },
  ])
  assert.deepEqual(
    text.split('\n').map((line) => line.split(/ {2,}/)),
    [
      ['', 'measured', 'bar', 'holds'],
      ['speed', '1235 samples/s', '≥ 1000', 'yes'],
      ['ratio', '0.8432', '≥ 0.85', 'NO'],
      ['noise', 'none', '≤ 1', 'not judged'],
    ],
  )
})

it('refuses a bench that does not exist, naming those that do', () => {
  for (const name of ['nothing', '../scripts/test', 'run']) {
    const { status, stderr, stdout } = spawnSync(process.execPath, [RUN, name], { encoding: 'utf8' })
    assert.equal(status, 2)
    assert.match(stderr, /There is no bench '.*'\. There are: .*\blocal\b/)
    assert.equal(stdout, '')
  }
})
