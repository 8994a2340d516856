import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Address, beginCell, Cell, toNano } from '@ton/core'
import { mnemonicNew, mnemonicToPrivateKey } from '@ton/crypto'
import { WalletContractV5R1 } from '@ton/ton'
import fc from 'fast-check'
import { MAINNET, TESTNET } from '../endpoint/networks.ts'
import { signerOf } from '../keys/ed25519.ts'
import { world } from '../testing/world.ts'
import { formatAddress, parseAddress } from './address.ts'
import { formatAmount, MAX_COINS, parseAmount } from './amount.ts'
import {
  MAX_WALLET_FILE_BYTES,
  parseWalletFile,
  readWalletFile,
  type ScryptCost,
  sealWallet,
  unlockWallet,
  type WalletFile,
  writeWalletFile,
} from './file.ts'
import { newMnemonic, parseMnemonic, seedOfMnemonic } from './mnemonic.ts'
import { commentBody, MAX_MESSAGES, readComment, seqnoOf, signTransfer, w5Of } from './w5.ts'

/** The least that a file may ask for: tests need not wait. */
const CHEAP: ScryptCost = { N: 2 ** 14, r: 8, p: 1 }
const PASSPHRASE = 'correct horse battery'

test('amounts are exact, both ways', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: MAX_COINS }), fc.integer({ min: 0, max: 18 }), (amount, decimals) => {
      assert.equal(parseAmount(formatAmount(amount, decimals), decimals), amount)
    }),
  )
  assert.equal(parseAmount('0.1') + parseAmount('0.2'), parseAmount('0.3'))
  assert.equal(parseAmount(' 1000000000.000000001 '), 10n ** 18n + 1n)
  assert.equal(formatAmount(-1_500_000_000n), '-1.5')
  assert.equal(formatAmount(0n), '0')
  for (const text of [
    '',
    '-1',
    '+1',
    '1,5',
    '1e9',
    '0x10',
    '.5',
    '5.',
    '1 000',
    'NaN',
    'Infinity',
    '1.0000000001',
    '9'.repeat(38),
    '٣',
  ])
    assert.throws(() => parseAmount(text), { code: 'AMOUNT_INVALID' }, text)
})

test('addresses: every form is read, every slip is told', () => {
  const address = Address.parseRaw(`0:${'83'.repeat(32)}`)
  const forms = [MAINNET, TESTNET].flatMap((network) =>
    [true, false].map((bounceable) => [formatAddress(address, { network, bounceable }), bounceable] as const),
  )
  assert.deepEqual(
    forms.map(([text]) => text.slice(0, 2)),
    ['EQ', 'UQ', 'kQ', '0Q'],
  )
  for (const [text, bounceable] of forms) {
    const given = parseAddress(` ${text.replaceAll('-', '+').replaceAll('_', '/')} `, TESTNET)
    assert.ok(given.address.equals(address))
    assert.equal(given.bounceable, bounceable)
  }
  const raw = parseAddress(address.toRawString(), MAINNET)
  assert.ok(raw.address.equals(address))
  assert.equal(raw.bounceable, undefined)
  assert.throws(() => parseAddress(forms[2]?.[0] as string, MAINNET), { code: 'ADDRESS_TESTNET' })
  const text = forms[0]?.[0] as string
  fc.assert(
    fc.property(fc.nat(47), fc.base64String({ minLength: 4, maxLength: 4 }), (at, [letter]) => {
      const other = text.slice(0, at) + letter + text.slice(at + 1)
      const same = (t: string) => t.replaceAll('-', '+').replaceAll('_', '/')
      if (same(other) === same(text)) return
      assert.throws(() => parseAddress(other, MAINNET), { code: /^ADDRESS_(INVALID|TESTNET)$/ })
    }),
    { numRuns: 500 },
  )
  for (const wrong of [
    '',
    'alice.ton',
    text.slice(1),
    `${text}A`,
    '0:12',
    `1:${'00'.repeat(32)}`,
    `0:${'0g'.repeat(32)}`,
    'é'.repeat(48),
  ])
    assert.throws(() => parseAddress(wrong, MAINNET), { code: 'ADDRESS_INVALID' }, wrong)
})

test("words are TON's: another library makes the same key of them; slips are told, words are not", async () => {
  const words = await newMnemonic()
  assert.equal(words.length, 24)
  const pair = await mnemonicToPrivateKey(words)
  assert.deepEqual(signerOf(await seedOfMnemonic(words)).publicKey, pair.publicKey)
  const text = words.map((word, i) => `${i + 1}. ${word.toUpperCase()}\n`).join(' ')
  assert.deepEqual(await parseMnemonic(text), words)
  await assert.rejects(parseMnemonic(words.slice(1).join(' ')), { code: 'MNEMONIC_INVALID' })
  await assert.rejects(parseMnemonic([...words].fill('abandon').join(' ')), { code: 'MNEMONIC_INVALID' })
  await assert.rejects(
    parseMnemonic(['secretword', ...words.slice(1)].join(' ')),
    (error: Error & { hint: string }) => {
      assert.match(error.message, /Word 1 is not/)
      return !`${error.message} ${error.hint}`.includes('secretword')
    },
  )
})

test('a file opens with its passphrase alone, in whatever form its letters come', async () => {
  const words = await mnemonicNew()
  const file = await sealWallet(words, 'Grüße aus Köln', { cost: CHEAP })
  const wallet = await unlockWallet(parseWalletFile(JSON.stringify(file)), 'Grüße aus Köln'.normalize('NFD'))
  assert.deepEqual(wallet.words(), words)
  assert.equal(wallet.signer.publicKey.toString('hex'), file.publicKey)
  await assert.rejects(unlockWallet(file, 'Grüße aus Bonn'), { code: 'PASSPHRASE_WRONG' })
  await assert.rejects(sealWallet(words, 'short', { cost: CHEAP }), { code: 'PASSPHRASE_WEAK' })
  // twice the same words and passphrase: nothing of the two boxes is alike
  const again = await sealWallet(words, 'Grüße aus Köln', { cost: CHEAP })
  assert.notEqual(again.kdf.salt, file.kdf.salt)
  assert.notEqual(again.iv, file.iv)
  assert.notEqual(again.box.slice(0, 32), file.box.slice(0, 32))
})

test('locked is locked; neither the wallet nor its file shows a key', async () => {
  const words = await mnemonicNew()
  const file = await sealWallet(words, PASSPHRASE, { cost: CHEAP })
  const wallet = await unlockWallet(file, PASSPHRASE)
  const seed = (await seedOfMnemonic(words)).toString('hex')
  const shown = inspect(wallet, { depth: 9, showHidden: true }) + JSON.stringify(wallet) + JSON.stringify(file)
  assert.ok(!shown.includes(seed))
  // One of the words alone may be there by chance: in a name, or as its end. Three in order are not.
  assert.doesNotMatch(shown, new RegExp(words.slice(0, 3).join('\\W+')))
  const { signer } = wallet
  signer.sign(Buffer.from('a'))
  wallet.lock()
  assert.throws(() => signer.sign(Buffer.from('a')), { code: 'WALLET_LOCKED' })
  assert.throws(() => wallet.words(), { code: 'WALLET_LOCKED' })
})

test('an altered file is refused, whatever was altered', async () => {
  const file = await sealWallet(await mnemonicNew(), PASSPHRASE, { cost: CHEAP })
  const flip = (hex: string, at: number) =>
    hex.slice(0, at) + (Number.parseInt(hex[at] as string, 16) ^ 1).toString(16) + hex.slice(at + 1)
  const altered: WalletFile[] = [
    { ...file, publicKey: flip(file.publicKey, 5) },
    { ...file, kdf: { ...file.kdf, salt: flip(file.kdf.salt, 5) } },
    { ...file, kdf: { ...file.kdf, r: 4 } },
    { ...file, kdf: { ...file.kdf, p: 2 } },
    { ...file, kdf: { ...file.kdf, N: 2 ** 15 } },
    { ...file, iv: flip(file.iv, 0) },
    { ...file, box: flip(file.box, 0) },
    { ...file, box: flip(file.box, file.box.length - 1) },
    { ...file, box: file.box.slice(0, 32) },
  ]
  for (const other of altered)
    await assert.rejects(unlockWallet(parseWalletFile(JSON.stringify(other)), PASSPHRASE), { code: 'PASSPHRASE_WRONG' })
})

test('a hostile file cannot ask for memory, time or anything else', async () => {
  const file = await sealWallet(await mnemonicNew(), PASSPHRASE, { cost: CHEAP })
  const kdf = (o: object) => ({ ...file, kdf: { ...file.kdf, ...o } })
  const hostile: unknown[] = [
    kdf({ N: 2 ** 29 }), // 64 GiB
    kdf({ N: 2 ** 20, r: 8 }),
    kdf({ r: 2 ** 30 }),
    kdf({ p: 1000 }),
    kdf({ N: 2 ** 14 + 1 }),
    kdf({ N: 2 }),
    kdf({ N: '16384' }),
    kdf({ name: 'none' }),
    { ...file, cipher: 'null' },
    { ...file, version: 2 },
    { ...file, more: 1 },
    { ...file, box: '' },
    { ...file, box: 'zz' },
    null,
    [],
    'x'.repeat(MAX_WALLET_FILE_BYTES),
  ]
  for (const value of hostile)
    assert.throws(
      () => parseWalletFile(JSON.stringify(value)),
      { code: 'WALLET_FILE_INVALID' },
      JSON.stringify(value).slice(0, 200),
    )
  assert.throws(() => parseWalletFile('{'), { code: 'WALLET_FILE_INVALID' })
})

test('a file is its owner’s alone, written whole, and no wallet is overwritten', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-wallet-'))
  try {
    const path = join(folder, 'wallets', 'main.json')
    assert.equal(await readWalletFile(path), undefined)
    const [one, two] = await Promise.all(
      [1, 2].map(async () => sealWallet(await mnemonicNew(), PASSPHRASE, { cost: CHEAP })),
    )
    const ends = await Promise.allSettled([
      writeWalletFile(path, one as WalletFile),
      writeWalletFile(path, two as WalletFile),
    ])
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const lost = ends.find((end) => end.status === 'rejected')
    assert.equal(lost?.reason.code, 'WALLET_EXISTS')
    const kept = ends[0]?.status === 'fulfilled' ? one : two
    assert.deepEqual(await readWalletFile(path), kept)
    if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.ok((await readFile(path)).length < MAX_WALLET_FILE_BYTES)
    await writeFile(path, 'x'.repeat(MAX_WALLET_FILE_BYTES + 1))
    await assert.rejects(readWalletFile(path), { code: 'WALLET_FILE_INVALID' })
    await assert.rejects(readWalletFile(folder), { code: 'WALLET_FILE_INVALID' })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('the real TVM takes transfers that OpenSSL signed, on their network, once and in time', async () => {
  const { chain, person } = await world()
  const network = 2000
  const signer = signerOf(Buffer.alloc(32, 9))
  const wallet = w5Of(signer.publicKey, network)
  const [rich, bob] = [await person('rich'), await person('bob')]
  await rich.send({ to: wallet.address, value: toNano('10'), bounce: false })
  const validUntil = (chain.now as number) + 60
  const send = (o: Partial<Parameters<typeof signTransfer>[2]> = {}, of = { signer, network }) =>
    signTransfer(of.signer, of.network, {
      transfers: [{ to: bob.address, value: toNano('1'), body: commentBody('grüezi') }],
      seqno: 0,
      validUntil,
      ...o,
    })
  const before = await bob.getBalance()
  const first = await send()
  const { transactions } = await chain.sendMessage(first)
  assert.equal(transactions.length, 2)
  assert.ok((await bob.getBalance()) > before + toNano('0.99'))
  const body = transactions[1]?.inMessage?.body as Cell
  assert.equal(readComment(body), 'grüezi')
  assert.equal(readComment(Cell.EMPTY), undefined)
  assert.equal(readComment(beginCell().storeUint(7, 32).endCell()), undefined)

  const state = (await chain.getContract(wallet.address)).account.account?.storage.state
  assert.equal(state?.type === 'active' && seqnoOf(state.state.data), 1)
  assert.equal(seqnoOf(undefined), 0)

  const refused = async (message: Cell, exitCode: number) => assert.rejects(chain.sendMessage(message), { exitCode })
  await refused(first, 133) // replayed
  await refused(await send({ seqno: 2 }), 133)
  await refused(await send({ seqno: 1, validUntil: chain.now as number }), 136)
  const mallory = { ...signer, sign: signerOf(Buffer.alloc(32, 8)).sign }
  await refused(await send({ seqno: 1 }, { signer: mallory, network }), 135)
  // many at once
  const many = Array.from({ length: 200 }, (_, i) => ({ to: bob.address, value: 1_000_000n + BigInt(i) }))
  const all = await chain.sendMessage(await send({ seqno: 1, transfers: many }))
  assert.equal(all.transactions.length, 201)
  await assert.rejects(send({ transfers: [] }), { code: 'TRANSFER_INVALID' })
  await assert.rejects(send({ transfers: new Array(MAX_MESSAGES + 1).fill(many[0]) }), { code: 'TRANSFER_INVALID' })
  assert.throws(() => commentBody('x'.repeat(1025)), { code: 'TRANSFER_INVALID' })
})

test('a key has another address on every network, and those of the official contract', () => {
  const { publicKey } = signerOf(Buffer.alloc(32, 9))
  const addresses = [MAINNET, TESTNET, 2000].map((network) => w5Of(publicKey, network).address.toRawString())
  assert.equal(new Set(addresses).size, 3)
  assert.equal(addresses[0], WalletContractV5R1.create({ publicKey }).address.toRawString())
  assert.notEqual(w5Of(publicKey, MAINNET, 1).address.toRawString(), addresses[0])
})
