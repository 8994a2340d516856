import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { joinCommand } from './join.ts'
import { jobHref, parseRoute, storageHref } from './route.ts'

test('every job id survives the way through the address bar', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (id) => {
      assert.deepEqual(parseRoute(jobHref(id)), { page: 'job', id })
    }),
  )
})

test('the storage network has a place of its own', () => {
  for (const hash of [storageHref, '#/storage/']) assert.deepEqual(parseRoute(hash), { page: 'storage' })
})

test('an unknown or broken hash is the network', () => {
  for (const hash of ['', '#', '#/', '#/jobs/', '#/jobs/a/b', '#/jobs/%E0%A4', '#/settings'])
    assert.deepEqual(parseRoute(hash), { page: 'network' }, hash)
})

test('the join command prefers an address that other machines reach, and names the peer', () => {
  const command = joinCommand(
    ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1', '/ip4/0.0.0.0/tcp/1', '/ip4/192.168.1.20/tcp/1'],
    'PEER',
  )
  assert.deepEqual(command, { text: 'npx pingo contribute --fog /ip4/192.168.1.20/tcp/1/p2p/PEER', reachable: true })
})

test('an address that names its peer already is taken as it is', () => {
  assert.equal(
    joinCommand(['/dns4/fog.example/tcp/1/p2p/PEER'], 'PEER')?.text,
    'npx pingo contribute --fog /dns4/fog.example/tcp/1/p2p/PEER',
  )
})

test('a fog node on loopback only says so, one without an address has no command', () => {
  assert.equal(joinCommand(['/ip4/127.0.0.1/tcp/1'], 'PEER')?.reachable, false)
  assert.equal(joinCommand([], 'PEER'), undefined)
})
