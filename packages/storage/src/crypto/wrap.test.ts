import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { receiverOf, unwrap, wrap } from './wrap.ts'

const secret = new Uint8Array(32).fill(1)
const bytes = Buffer.from('a key that is wrapped')
/** Sealed to the public key of `secret`, info 'pingo/wrap/1 job 1', by the HPKE of Python's cryptography 48.0.0. */
const FOREIGN =
  'c9191594af4700e073e85196ce9aba36c0c46fddf7478b6f64ebb5f6c300101f0dd4ceb4bfc2859addda5eba11daff765701139d3d12c1854a54bca545950a22302c33a66f'

test('what another implementation of RFC 9180 sealed opens', async () => {
  const receiver = await receiverOf(secret)
  assert.deepEqual(Buffer.from(await unwrap(receiver, 'job 1', Buffer.from(FOREIGN, 'hex'))), bytes)
})

test('a public key is that of RFC 7748, 6.1', async () => {
  const alice = '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'
  const { publicKey } = await receiverOf(Buffer.from(alice, 'hex'))
  assert.equal(
    Buffer.from(publicKey).toString('hex'),
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  )
})

test('a wrapped key opens for its receiver and context alone, and every wrapping is another', async () => {
  const receiver = await receiverOf(secret)
  const stranger = await receiverOf(new Uint8Array(32).fill(2))
  const wrapped = await wrap(receiver.publicKey, 'job 1', bytes)
  assert.notDeepEqual(wrapped, await wrap(receiver.publicKey, 'job 1', bytes))
  assert.deepEqual(Buffer.from(await unwrap(receiver, 'job 1', wrapped)), bytes)
  const refused = (opened: Promise<unknown>) => assert.rejects(opened, (error) => isPinGoError(error, 'WRAP_INVALID'))
  await refused(unwrap(stranger, 'job 1', wrapped))
  await refused(unwrap(receiver, 'job 2', wrapped))
  for (const length of [0, 5, 32, 40, wrapped.byteLength - 1])
    await refused(unwrap(receiver, 'job 1', wrapped.subarray(0, length)))
  for (let i = 0; i < wrapped.byteLength; i++)
    await refused(
      unwrap(
        receiver,
        'job 1',
        wrapped.map((byte, at) => (at === i ? byte ^ 4 : byte)),
      ),
    )
  for (const length of [0, 31, 33])
    await assert.rejects(wrap(new Uint8Array(length), 'job 1', bytes), (error) =>
      isPinGoError(error, 'PUBLIC_KEY_INVALID'),
    )
  // a point of small order: its shared secret would be known to all
  await assert.rejects(wrap(new Uint8Array(32), 'job 1', bytes), (error) => isPinGoError(error, 'PUBLIC_KEY_INVALID'))
})
