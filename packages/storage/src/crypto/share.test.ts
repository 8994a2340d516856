import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cidOf, createIdentity, encode, isPinGoError, SHARE_TYPE, type Shared, seal } from '@pingo/wire'
import { isShareLink, openShareLink, shareLink } from './share.ts'

const id = cidOf(Buffer.from('an object')).toString()
const shared: Shared = {
  parts: [{ id, key: new Uint8Array(32).fill(5), bytes: 1000 }],
  name: 'holiday.zip',
  bytes: 1000,
  fogs: [{ url: 'https://192.0.2.7:4002', pin: 'ab'.repeat(32) }],
}
const until = Date.UTC(2030, 0, 1)
const now = until - 1

const refused = (code: string, link: string, o: { now: number; password?: string } = { now }) =>
  assert.rejects(openShareLink(link, o), (error) => isPinGoError(error, code), code)

test('a link gives what was shared, and whose word it is, until its end', async () => {
  const owner = await createIdentity()
  const link = await shareLink(owner, shared, { until })
  assert.match(link, /^pingo:\/\/share\/[\w-]+$/)
  assert.ok(isShareLink(` ${link}\n`) && !isShareLink(`pingo://${id}`))
  const opened = await openShareLink(` ${link}\n`, { now })
  assert.deepEqual({ ...opened, parts: shared.parts }, { ...shared, owner: owner.peerId, until })
  assert.deepEqual(Buffer.from(opened.parts[0]!.key), Buffer.from(shared.parts[0]!.key))
  await refused('LINK_EXPIRED', link, { now: until })
})

test('a link that was altered, cut off or forged is refused', async () => {
  const owner = await createIdentity()
  const link = await shareLink(owner, shared, { until })
  const at = 'pingo://share/'.length
  for (let i = at; i < link.length; i++)
    await refused('LINK_INVALID', `${link.slice(0, i)}${link[i] === 'A' ? 'B' : 'A'}${link.slice(i + 1)}`)
  for (const part of [
    link.slice(0, -1),
    link.slice(0, at),
    link.slice(at),
    '',
    `${link}=`,
    `${link}A`,
    `pingo://${id}`,
  ])
    await refused('LINK_INVALID', part)
  await refused('LINK_INVALID', `pingo://share/${'A'.repeat(100_000)}`)
  // signed, and not a link: another type, another shape, keys of another length
  const linkOf = async (type: string, value: unknown) =>
    `pingo://share/${Buffer.from(await seal(owner, type, value)).toString('base64url')}`
  await refused('LINK_INVALID', await linkOf('pingo/object/1', { until, body: encode(shared) }))
  await refused('LINK_INVALID', await linkOf(SHARE_TYPE, { until, body: encode({ ...shared, parts: [] }) }))
  const short = { ...shared, parts: [{ id, key: new Uint8Array(31), bytes: 1 }] }
  await refused('LINK_INVALID', await linkOf(SHARE_TYPE, { until, body: encode(short) }))
  await refused('LINK_INVALID', await linkOf(SHARE_TYPE, { until, body: new Uint8Array(3) }))
  // what was signed by another names another
  const forged = await openShareLink(await shareLink(await createIdentity(), shared, { until }), { now })
  assert.notEqual(forged.owner, owner.peerId)
})

test('a password is needed where there is one, and the link shows nothing without it', async () => {
  const link = await shareLink(await createIdentity(), shared, { until, password: 'tulip' })
  const bytes = Buffer.from(link.slice('pingo://share/'.length), 'base64url')
  assert.ok(!bytes.includes(shared.name) && !bytes.includes(id) && !bytes.includes(Buffer.alloc(8, 5)))
  await refused('LINK_PASSWORD_MISSING', link)
  await refused('PASSWORD_WRONG', link, { now, password: 'rose' })
  await refused('LINK_EXPIRED', link, { now: until, password: 'tulip' })
  assert.equal((await openShareLink(link, { now, password: 'tulip' })).name, shared.name)
})

test('a link has room for so much, and no more', async () => {
  const owner = await createIdentity()
  const many = (parts: number, name = 'x') => ({ ...shared, name, parts: Array(parts).fill(shared.parts[0]) })
  const link = await shareLink(owner, many(64), { until })
  assert.equal((await openShareLink(link, { now })).parts.length, 64)
  const fails = (value: Shared, code: string) =>
    assert.rejects(shareLink(owner, value, { until }), (error) => isPinGoError(error, code))
  await fails(many(65), 'MESSAGE_INVALID')
  await fails(many(1, 'x'.repeat(256)), 'MESSAGE_INVALID')
  const fog = { url: `https://${'€'.repeat(480)}` }
  await fails({ ...many(64, 'ä'.repeat(255)), fogs: Array(8).fill(fog) }, 'LINK_TOO_LARGE')
})
