import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createIdentity, encode, type Identity, isPinGoError, signedBytes } from '@pingo/wire'
import { compareVersions, decide, type Here, place } from './decide.ts'
import { RELEASE_POLICY, type ReleasePolicy } from './keys.ts'
import { MAX_RELEASE_BYTES, openRelease, type Release, signRelease } from './release.ts'
import { cameUp, checkUpdate, newestProven, startInstalled, type UpdateOptions, update } from './update.ts'
import { EMPTY, nextStart, switched, Versions } from './versions.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 5, 1)
const BASE = '0.1.0'
const PLATFORM = 'linux-x64'

const fails = (code: string) => (error: unknown) => isPinGoError(error, code) || assert.fail(`not ${code}: ${error}`)
const hex = (text: string) => createHash('sha256').update(text).digest('hex')
const fileOf = (path: string, text: string) => ({ path, bytes: Buffer.byteLength(text), sha256: hex(text) })

const MAIN = 'export const answer = 42\n'
const NATIVE = 'native code'

function release(o: Partial<Release> = {}): Release {
  const files = [fileOf('bin/pingo.js', MAIN), { ...fileOf('lib/engine.node', NATIVE), platform: PLATFORM }]
  return {
    version: '0.2.0',
    minVersion: '0.1.0',
    notBefore: NOW - DAY,
    expires: NOW + DAY,
    share: 1,
    platforms: [PLATFORM, 'darwin-arm64'],
    entry: 'bin/pingo.js',
    files,
    ...o,
  }
}

const here = (o: Partial<Here> = {}): Here => ({ running: BASE, failed: [], platform: PLATFORM, now: NOW, ...o })

/** Three release keys of which two must sign, a home, and a server that has what it is given. */
async function setting() {
  const keys = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
  const policy: ReleasePolicy = { threshold: 2, keys: keys.map(({ peerId }) => peerId) }
  const home = await mkdtemp(join(tmpdir(), 'pingo-update-'))
  const files = new Map<string, string | Uint8Array>([
    [hex(MAIN), MAIN],
    [hex(NATIVE), NATIVE],
  ])
  const asked: string[] = []
  const server = createServer((request, response) => {
    const name = request.url!.slice('/r/'.length)
    asked.push(name)
    const content = files.get(name)
    if (content === undefined) response.writeHead(404).end()
    else if (name === 'elsewhere') response.writeHead(302, { location: `/r/${content}` }).end()
    else response.end(content)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}/r/`
  const options: UpdateOptions = { home, source: `${at}release`, policy, base: BASE, platform: PLATFORM, now: NOW }
  return {
    keys,
    policy,
    home,
    files,
    asked,
    at,
    options,
    versions: new Versions(home),
    offer: async (o: Partial<Release> = {}, signers: Identity[] = keys.slice(0, 2)) => {
      files.set('release', await signRelease(release(o), signers))
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(home, { recursive: true, force: true })
    },
  }
}

const always = { canApply: () => true }

test('a release counts when enough different release keys signed it, whoever else did', async () => {
  const [a, b, c, stranger] = await Promise.all([1, 2, 3, 4].map(createIdentity))
  const policy = { threshold: 2, keys: [a!, b!, c!].map(({ peerId }) => peerId) }
  const open = async (...signers: Identity[]) => openRelease(await signRelease(release(), signers), policy)
  assert.equal((await open(a!, c!)).version, '0.2.0')
  assert.equal((await open(stranger!, b!, c!)).version, '0.2.0')
  await assert.rejects(open(), fails('UPDATE_UNSIGNED'))
  await assert.rejects(open(a!), fails('UPDATE_UNSIGNED'))
  await assert.rejects(open(a!, a!), fails('UPDATE_UNSIGNED'), 'who signs twice counts once')
  await assert.rejects(open(a!, stranger!), fails('UPDATE_UNSIGNED'))
  // a signature of one key under another's name
  const posing = { peerId: b!.peerId, sign: (bytes: Uint8Array) => a!.sign(bytes) }
  await assert.rejects(
    async () => openRelease(await signRelease(release(), [a!, posing]), policy),
    fails('UPDATE_UNSIGNED'),
  )
})

test('signatures hold for the signed bytes and as a release alone', async () => {
  const [a, b] = await Promise.all([createIdentity(), createIdentity()])
  const policy = { threshold: 2, keys: [a.peerId, b.peerId] }
  const other = async (payload: Uint8Array, signed: Uint8Array) =>
    encode({
      type: 'pingo/release',
      payload,
      signatures: await Promise.all(
        [a, b].map(async ({ peerId, sign }) => ({ key: peerId, signature: await sign(signed) })),
      ),
    })
  const payload = encode(release())
  assert.equal((await openRelease(await other(payload, signedBytes('pingo/release', payload)), policy)).share, 1)
  const newer = encode(release({ version: '9.0.0' }))
  await assert.rejects(
    async () => openRelease(await other(newer, signedBytes('pingo/release', payload)), policy),
    fails('UPDATE_UNSIGNED'),
  )
  await assert.rejects(
    async () => openRelease(await other(payload, signedBytes('update', payload)), policy),
    fails('UPDATE_UNSIGNED'),
  )
  await assert.rejects(openRelease(new Uint8Array(MAX_RELEASE_BYTES + 2048), policy), fails('MESSAGE_TOO_LARGE'))
  await assert.rejects(openRelease(Buffer.from('nonsense'), policy), fails('MESSAGE_MALFORMED'))
  const many = Array.from({ length: 17 }, () => ({ key: a.peerId, signature: new Uint8Array(64) }))
  await assert.rejects(
    openRelease(encode({ type: 'pingo/release', payload, signatures: many }), policy),
    fails('MESSAGE_INVALID'),
  )
})

test('without keys, or with fewer keys than must sign, updates are off and nothing is asked for', async () => {
  await using s = await setting()
  await s.offer()
  const [key] = s.policy.keys
  const policies = [RELEASE_POLICY, { threshold: 0, keys: [key!] }, { threshold: 2, keys: [key!, key!] }]
  for (const policy of policies) await assert.rejects(update({ ...s.options, policy, ...always }), fails('UPDATES_OFF'))
  assert.deepEqual(s.asked, [])
  assert.equal(await startInstalled(s.home, BASE, RELEASE_POLICY), undefined)
})

test('paths that leave the folder, name devices, collide or hide are refused, though signed', async () => {
  const bad = [
    '../evil',
    '/etc/passwd',
    'a/../../b',
    './a',
    'a//b',
    'a/',
    '',
    'C:/x',
    'a\\b',
    '\\\\host\\x',
    'a\0b',
    'nul',
    'lib/COM1.js',
    'a.',
    'a:stream',
    'sp ace',
    '~/x',
    'é',
    'a/'.repeat(150).concat('b'),
  ] // prettier-ignore
  const opens = async (files: Release['files']) => {
    const [a] = await Promise.all([createIdentity()])
    const payload = encode(release({ files }))
    const signature = await a!.sign(signedBytes('pingo/release', payload))
    const bytes = encode({ type: 'pingo/release', payload, signatures: [{ key: a!.peerId, signature }] })
    return openRelease(bytes, { threshold: 1, keys: [a!.peerId] })
  }
  const main = fileOf('bin/pingo.js', MAIN)
  for (const path of bad)
    await assert.rejects(opens([main, fileOf(path, 'x')]), fails('MESSAGE_INVALID'), JSON.stringify(path))
  await assert.rejects(opens([main, fileOf('bin/PINGO.js', 'x')]), fails('MESSAGE_INVALID'), 'one file by two names')
  await assert.rejects(opens([main, fileOf('bin', 'x')]), fails('MESSAGE_INVALID'), 'a file where a folder must be')
  await assert.rejects(opens([fileOf('lib/a.js', 'x')]), fails('MESSAGE_INVALID'), 'no entry')
  const half = { ...main, bytes: 2 ** 29 + 1 }
  await assert.rejects(opens([half, { ...half, path: 'b' }]), fails('MESSAGE_INVALID'), 'over 1 GiB in all')
  assert.equal((await opens([main, fileOf('node_modules/@x/y-1.0/.file_+', 'x')])).files.length, 2)
})

test('never older than what runs or was offered, never expired, never what failed, only what fits', () => {
  assert.equal(decide(release(), here()).state, 'ready')
  assert.equal(decide(release({ version: '0.1.0' }), here()).state, 'current')
  const refused: [string, Partial<Release>, Partial<Here>][] = [
    ['UPDATE_OLDER', { version: '0.0.9' }, {}],
    ['UPDATE_OLDER', { version: '0.9.9' }, { running: '0.10.0' }],
    ['UPDATE_OLDER', {}, { newest: '0.3.0' }],
    ['UPDATE_EXPIRED', {}, { now: NOW + DAY }],
    ['UPDATE_EXPIRED', { version: '0.1.0' }, { now: NOW + DAY }],
    ['UPDATE_FAILED_BEFORE', {}, { failed: ['0.2.0'] }],
    ['UPDATE_TOO_FAR', { minVersion: '0.1.1' }, {}],
    ['UPDATE_PLATFORM_UNKNOWN', {}, { platform: 'win32-x64' }],
  ]
  for (const [code, offered, known] of refused)
    assert.throws(() => decide(release(offered), here(known)), fails(code), code)
  assert.equal(decide(release(), here({ now: NOW - 2 * DAY })).state, 'later')
  assert.ok(compareVersions('1.10.0', '1.9.9') > 0 && compareVersions('2.0.0', '2.0.0') === 0)
})

test('a release that would hold for years cannot even be signed', async () => {
  const key = await createIdentity()
  await assert.rejects(signRelease(release({ expires: NOW + 365 * DAY }), [key]), /90 days/)
})

test('a share of the machines goes first: about that share, other machines each time, and never fewer later', () => {
  const peers = Array.from({ length: 4000 }, (_, i) => `peer-${i}`)
  const first = (version: string, share: number) =>
    new Set(peers.filter((peerId) => decide(release({ version, share }), here({ peerId })).state === 'ready'))
  const tenth = first('0.2.0', 0.1)
  assert.ok(Math.abs(tenth.size / peers.length - 0.1) < 0.02, `${tenth.size}`)
  assert.ok(tenth.isSubsetOf(first('0.2.0', 0.5)))
  assert.ok(first('0.3.0', 0.1).intersection(tenth).size < tenth.size / 2)
  assert.deepEqual([first('0.2.0', 0).size, first('0.2.0', 1).size], [0, peers.length])
  assert.equal(decide(release({ share: 0.99 }), here()).state, 'later', 'a machine without a name comes last')
  assert.ok(peers.every((peer) => place(peer, '0.2.0') >= 0 && place(peer, '0.2.0') < 1))
})

test('an update is fetched, checked, installed and started; the version before stays', async () => {
  await using s = await setting()
  await s.offer()
  assert.equal((await checkUpdate(s.options)).state, 'ready')
  assert.equal(await startInstalled(s.home, BASE, s.policy), undefined, 'a check installs nothing')
  assert.equal((await update({ ...s.options, ...always })).state, 'installed')
  const entry = await startInstalled(s.home, BASE, s.policy)
  assert.equal(entry, join(s.home, 'versions', '0.2.0', 'bin', 'pingo.js'))
  assert.equal(await readFile(entry!, 'utf8'), MAIN)
  assert.equal(await readFile(join(s.home, 'versions', '0.2.0', 'lib', 'engine.node'), 'utf8'), NATIVE)
  await cameUp(s.home, '0.2.0')
  assert.deepEqual((await checkUpdate(s.options)).state, 'current')

  for (const version of ['0.3.0', '0.4.0']) {
    await s.offer({ version })
    assert.equal((await update({ ...s.options, ...always })).state, 'installed')
    assert.match((await startInstalled(s.home, BASE, s.policy))!, new RegExp(`${version}.bin.pingo.js$`))
    await cameUp(s.home, version)
  }
  const folders = (await readdir(s.versions.folder)).filter((name) => /^[\d.]/.test(name)).sort()
  assert.deepEqual(folders, ['0.2.0', '0.3.0', '0.4.0'], 'what is no longer needed goes with the next update')
  await s.offer({ version: '0.3.0' })
  await assert.rejects(update({ ...s.options, ...always }), fails('UPDATE_OLDER'))
  // what the owner installs newer than that goes first
  assert.equal(await startInstalled(s.home, '0.5.0', s.policy), undefined)
})

test('what was once offered is remembered: an older release is not taken later, in another process', async () => {
  await using s = await setting()
  await s.offer({ version: '0.3.0' })
  await checkUpdate(s.options)
  await s.offer({ version: '0.2.0' })
  await assert.rejects(update({ ...s.options, ...always }), fails('UPDATE_OLDER'))
})

test('files that are changed, short, too long or missing leave everything as it was', async () => {
  await using s = await setting()
  await s.offer()
  const name = hex(NATIVE)
  const attacks: [string, string | undefined][] = [
    ['UPDATE_TAMPERED', 'native c0de'],
    ['UPDATE_TAMPERED', 'native'],
    ['UPDATE_TOO_LARGE', `${NATIVE}!`],
    ['UPDATE_TOO_LARGE', 'x'.repeat(4 << 20)],
    ['UPDATE_UNREACHABLE', undefined],
  ]
  for (const [code, content] of attacks) {
    if (content === undefined) s.files.delete(name)
    else s.files.set(name, content)
    await assert.rejects(update({ ...s.options, ...always }), fails(code))
    assert.deepEqual((await readdir(s.versions.folder)).sort(), ['state.json', 'update.lock'])
    assert.equal(await startInstalled(s.home, BASE, s.policy), undefined)
  }
})

test('a manifest that is too long, elsewhere, unsigned or not there is refused', async () => {
  await using s = await setting()
  const tries = async (code: string, source = s.options.source) =>
    assert.rejects(update({ ...s.options, source, ...always }), fails(code))
  await tries('UPDATE_UNREACHABLE')
  s.files.set('release', new Uint8Array(MAX_RELEASE_BYTES + 1))
  await tries('UPDATE_TOO_LARGE')
  await s.offer({}, s.keys.slice(0, 1))
  await tries('UPDATE_UNSIGNED')
  await s.offer()
  s.files.set('elsewhere', 'release')
  await tries('UPDATE_UNREACHABLE', `${s.at}elsewhere`)
  for (const source of ['file:///etc/passwd', 'release', 'http://user:word@host/r'])
    await tries('UPDATE_SOURCE_INVALID', source)
  assert.ok(!existsSync(s.versions.folder))
})

test('nothing is switched while a lease is under way', async () => {
  await using s = await setting()
  await s.offer()
  assert.equal((await update({ ...s.options, canApply: () => false })).state, 'waiting')
  assert.deepEqual(s.asked, ['release'], 'nothing is fetched in vain')
  // one that begins while files come
  const answers = [true, false]
  assert.equal((await update({ ...s.options, canApply: () => answers.shift()! })).state, 'waiting')
  assert.equal(await startInstalled(s.home, BASE, s.policy), undefined)
  assert.ok(!existsSync(s.versions.folderOf('0.2.0')))
  assert.equal((await update({ ...s.options, ...always })).state, 'installed')
})

test('only one process installs at a time', async () => {
  await using s = await setting()
  await s.offer()
  {
    using _ = await s.versions.lock()
    await assert.rejects(update({ ...s.options, ...always }), fails('UPDATE_RUNNING'))
  }
  assert.equal((await update({ ...s.options, ...always })).state, 'installed')
})

test('a version that does not come up twice is left for the last that did, and is not taken again', async () => {
  await using s = await setting()
  await s.offer()
  await update({ ...s.options, ...always })
  await startInstalled(s.home, BASE, s.policy)
  await cameUp(s.home, '0.2.0')
  await s.offer({ version: '0.3.0' })
  await update({ ...s.options, ...always })
  const started = async () => (await startInstalled(s.home, BASE, s.policy))?.match(/\d\.\d\.\d/)?.[0]
  assert.deepEqual(
    [await started(), await started(), await started(), await started()],
    ['0.3.0', '0.3.0', '0.2.0', '0.2.0'],
  )
  await assert.rejects(update({ ...s.options, ...always }), fails('UPDATE_FAILED_BEFORE'))
  await s.offer({ version: '0.3.1' })
  assert.match((await newestProven(s.home, BASE, s.policy))!, /0\.2\.0/)
  assert.equal((await update({ ...s.options, ...always })).state, 'installed')
  assert.equal(await started(), '0.3.1')
  assert.match((await newestProven(s.home, BASE, s.policy))!, /0\.2\.0/, 'not one that is not known to come up')
  await cameUp(s.home, '0.3.1')
  assert.match((await newestProven(s.home, BASE, s.policy))!, /0\.3\.1/)
  assert.equal(await newestProven(s.home, '0.3.1', s.policy), undefined)
})

test('an update over one that never came up falls back to what did', () => {
  const [old, bad, worse] = ['0.2.0', '0.3.0', '0.4.0'].map((version) => ({ version, entry: 'x' }))
  let state = switched(switched({ ...EMPTY, current: old }, bad!), worse!)
  const runs = [1, 2, 3].map(() => {
    const next = nextStart(state, BASE)
    state = next.state
    return next.run?.version
  })
  assert.deepEqual([runs, state.failed], [['0.4.0', '0.4.0', '0.2.0'], ['0.4.0']])
  const first = nextStart({ ...EMPTY, current: bad, isProven: false, starts: 2 }, BASE)
  assert.deepEqual(
    [first.run, first.state.failed],
    [undefined, ['0.3.0']],
    'without one before: what the owner installed',
  )
})

test('damage in the folder of versions starts what the owner installed, and says so to an update', async () => {
  await using s = await setting()
  await s.offer()
  await update({ ...s.options, ...always })
  await rm(s.versions.folderOf('0.2.0'), { recursive: true })
  assert.equal(await startInstalled(s.home, BASE, s.policy), undefined)
  assert.equal((await update({ ...s.options, ...always })).state, 'installed', 'what is gone is fetched again')
  for (const text of [
    '{',
    '{"format":1,"current":{"version":"../../evil","entry":"x"},"isProven":true,"starts":0,"failed":[]}',
    '{"format":1,"current":{"version":"9.0.0","entry":"../../evil"},"isProven":true,"starts":0,"failed":[]}',
  ]) {
    await writeFile(join(s.versions.folder, 'state.json'), text)
    assert.equal(await startInstalled(s.home, BASE, s.policy), undefined)
    await assert.rejects(update({ ...s.options, ...always }), fails('UPDATE_STATE_UNREADABLE'))
  }
})
