import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const MODULE = new URL('./hand-over.ts', import.meta.url).href
const CONTRIBUTOR = import.meta.resolve('@pingo/contributor/local')
const EXIT_MODULE = new URL('../exit.ts', import.meta.url).href

/** A home with 0.2.0 installed, whose entry says what it is given, and a command of version 0.1.0. */
async function setting(keys: string[]) {
  const home = await mkdtemp(join(tmpdir(), 'pingo-hand-over-'))
  const folder = join(home, 'versions', '0.2.0')
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'main.mjs'),
    `console.log(JSON.stringify({ args: process.argv.slice(2), pid: process.pid, isInstalled: process.env.PINGO_INSTALLED }))
     process.exit(7)`,
  )
  const state = { format: 1, current: { version: '0.2.0', entry: 'main.mjs' }, isProven: false, starts: 0, failed: [] }
  const file = join(home, 'versions', 'state.json')
  await writeFile(file, JSON.stringify(state))
  const command = join(home, 'command.mjs')
  await writeFile(
    command,
    `import { handOver } from ${JSON.stringify(MODULE)}
     import { startInstalled } from ${JSON.stringify(CONTRIBUTOR)}
     import { Exit } from ${JSON.stringify(EXIT_MODULE)}
     const policy = { threshold: 1, keys: ${JSON.stringify(keys)} }
     const entry = () => startInstalled(${JSON.stringify(home)}, '0.1.0', policy)
     if (process.argv[2] === 'beside') process.execve = undefined
     try {
       await handOver({ entry, args: process.argv.slice(2), signal: new AbortController().signal })
       console.log(JSON.stringify({ base: true, isInstalled: process.env.PINGO_INSTALLED }))
     } catch (error) {
       process.exit(error instanceof Exit ? error.code : 99)
     }`,
  )
  const run = (args: string[], env = {}) =>
    new Promise<{ pid?: number; code: unknown; said: Record<string, unknown> }>((resolve, reject) => {
      const child = execFile(
        process.execPath,
        [command, ...args],
        { env: { ...process.env, ...env } },
        (error, stdout, stderr) => {
          if (!stdout) reject(new Error(`it said nothing: ${stderr}`))
          else resolve({ pid: child.pid, code: error?.code ?? 0, said: JSON.parse(stdout) })
        },
      )
    })
  const starts = async () => (JSON.parse(await readFile(file, 'utf8')) as { starts: number }).starts
  return { run, starts, [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) }
}

test('a newer version that is installed runs in place of the command, and the start is counted', async () => {
  await using s = await setting(['key'])
  const { pid, code, said } = await s.run(['contribute', '--cpu', '40%'])
  assert.deepEqual([code, said.args, said.isInstalled], [7, ['contribute', '--cpu', '40%'], '1'])
  if (process.platform !== 'win32') assert.equal(said.pid, pid, 'the same process')
  assert.equal(await s.starts(), 1)
  const beside = await s.run(['beside'])
  assert.deepEqual([beside.code, beside.said.args], [7, ['beside']])
  assert.notEqual(beside.said.pid, beside.pid)
  assert.equal(await s.starts(), 2)
  assert.deepEqual((await s.run([])).said, { base: true }, 'it never came up')
})

test('nothing of the home is started without release keys, nor by what was itself started so', async () => {
  await using off = await setting([])
  assert.deepEqual((await off.run([])).said, { base: true })
  await using s = await setting(['key'])
  assert.deepEqual((await s.run([], { PINGO_INSTALLED: '1' })).said, { base: true })
  assert.equal(await s.starts(), 0)
})
