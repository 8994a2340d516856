// Brings a fresh clone to where every script runs: dependencies, the dashboard's pages and, for tests, a browser.
// Plain JavaScript for Node 18 and newer, because it runs before Node 24 is there. All its words go to stderr.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const stamps = join(modules, '.pingo')
const say = (text) => process.stderr.write(`${text}\n`)
const fail = (text) => {
  say(`pingo: ${text}`)
  process.exit(1)
}

/** Runs a program with its output on stderr. */
function run(command, args, { cwd = root, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32' && command.endsWith('.cmd'),
  })
  return result.status === 0
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.name !== 'node_modules' && entry.name !== 'dist' && entry.name !== 'test')
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? filesBelow(path) : [path]
    })
    .sort()
}

function digest(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}

/** Runs `work` unless its inputs are those of the last time it succeeded. */
function once(name, key, work) {
  const stamp = join(stamps, name)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return
  work()
  mkdirSync(stamps, { recursive: true })
  writeFileSync(stamp, key)
}

/** npm as it runs this script, or the one on the PATH. */
function npm(args) {
  const env = { ONNXRUNTIME_NODE_INSTALL: 'skip' } // its install script wants a CUDA library that nobody here needs
  const path = process.env.npm_execpath
  return path && /\.[cm]?js$/.test(path)
    ? run(process.execPath, [path, ...args], { env })
    : run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { env })
}

function node24() {
  const binary = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node'
  const names = [
    `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`,
    `node-bin-${process.platform}-${process.arch}`,
  ]
  const found = names.map((name) => join(modules, name, binary)).find(existsSync)
  if (found) return found
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  return fail(
    `there is no Node 24 for ${process.platform}-${process.arch} on npm; install Node 24 or newer and run this again.`,
  )
}

function installDependencies() {
  const manifests = ['packages', 'apps']
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name, 'package.json')))
    .filter(existsSync)
  const key = digest([join(root, 'package.json'), join(root, 'package-lock.json'), ...manifests])
  once('dependencies', key, () => {
    say('Installing dependencies (once, about a minute) …')
    if (!npm(['ci', '--loglevel=error', '--no-audit', '--no-fund']))
      fail(
        'the dependencies could not be installed; see npm’s message above. Check the connection to the npm registry and run this again.',
      )
  })
}

function buildPages() {
  const app = join(root, 'apps', 'dashboard')
  const dist = join(app, 'dist')
  // the page that contributes is made of these
  const packages = ['wire', 'graph', 'data', 'engine', 'training', 'storage', 'contributor']
  const sources = packages.flatMap((name) => filesBelow(join(root, 'packages', name, 'src')))
  const key = digest([...filesBelow(app), ...sources.filter((file) => !file.endsWith('.test.ts'))])
  if (!existsSync(join(dist, 'index.html'))) rmSync(join(stamps, 'pages'), { force: true })
  once('pages', key, () => {
    say('Building the dashboard …')
    if (!run(node24(), [join(modules, 'vite', 'bin', 'vite.js'), 'build', '--logLevel', 'warn'], { cwd: app }))
      fail('the dashboard could not be built; see the message above.')
  })
}

/** Tests drive a real browser: an installed Chromium or Chrome, else Debian's by apt where this is root. */
function findBrowser() {
  const candidates = [
    process.env.PINGO_CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  ]
  return candidates.find((path) => path && existsSync(path))
}

function installBrowser() {
  if (findBrowser()) return
  if (process.platform === 'linux' && existsSync('/usr/bin/apt-get') && process.getuid?.() === 0) {
    say('Installing Chromium for the browser tests …')
    const env = { DEBIAN_FRONTEND: 'noninteractive' }
    run('apt-get', ['update', '-qq'], { env })
    if (run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], { env }) && findBrowser())
      return
  }
  fail('the browser tests want Chromium or Chrome: install one, or set PINGO_CHROMIUM to its path.')
}

/** What keeps jobs apart best on Linux; the tests of that tier are left out where it is missing. */
function installSandbox() {
  if (process.platform !== 'linux' || existsSync('/usr/bin/bwrap')) return
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) return
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['update', '-qq'], { env })
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'bubblewrap'], { env })
}

if (!statSync(join(root, 'package-lock.json'), { throwIfNoEntry: false }))
  fail('package-lock.json is missing; clone the repository anew.')
installDependencies()
node24()
buildPages()
if (process.argv.includes('--test')) {
  installBrowser()
  installSandbox()
}
