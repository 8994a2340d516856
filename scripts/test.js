// Everything that CI runs, in one go: types, lint, then all tests by node:test. Arguments narrow the test files.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const bin = (name) => join(root, 'node_modules', ...name)
const only = process.argv.slice(2)
const files = only.length
  ? only
  : [
      'packages/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'bench/**/*.test.ts',
      'test/**/*.test.ts',
    ]

const steps = [
  ...(only.length
    ? []
    : [
        ['types', [bin(['typescript', 'bin', 'tsc']), '--noEmit', '-p', '.']],
        ['lint', [bin(['@biomejs', 'biome', 'bin', 'biome']), 'check', '.']],
      ]),
  // Two files at a time: the end-to-end tests start networks of their own.
  ['tests', ['--test', '--test-concurrency=2', '--test-timeout=600000', ...files]],
]
for (const [name, args] of steps) {
  process.stderr.write(`\n— ${name}\n`)
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
