import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { backupOf, phraseOf, secretOf, secretOfBackup } from './backup.ts'
import { Keyring } from './keyring.ts'

const hex = (text: string) => Buffer.from(text, 'hex')
const refused = (work: () => unknown, code: string, part: string) =>
  assert.throws(work, (error) => isPinGoError(error, code) && `${error.message} ${error.hint}`.includes(part))

/** Of the 24-word vectors of BIP-39 (trezor/python-mnemonic, vectors.json). */
const VECTORS: [string, string][] = [
  ['00'.repeat(32), `${'abandon '.repeat(23)}art`],
  [
    '7f'.repeat(32),
    'legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title',
  ],
  [
    '80'.repeat(32),
    'letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless',
  ],
  ['ff'.repeat(32), `${'zoo '.repeat(23)}vote`],
  [
    '68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c',
    'hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length',
  ],
]

test('a recovery phrase is that of BIP-39, however it is typed', () => {
  for (const [secret, phrase] of VECTORS) {
    assert.equal(phraseOf(hex(secret)), phrase)
    assert.deepEqual(Buffer.from(secretOf(phrase)), hex(secret))
  }
  const [secret, phrase] = VECTORS.at(-1)!
  const numbered = phrase
    .split(' ')
    .map((word, i) => `${i + 1}. ${word[0]!.toUpperCase()}${word.slice(1)}`)
    .join('\n')
  assert.deepEqual(Buffer.from(secretOf(`  ${numbered}\n`)), hex(secret))
})

test('a wrong phrase says what is wrong, and no more of itself', () => {
  const words = VECTORS.at(-1)![1].split(' ')
  const changed = (i: number, word: string) => words.map((old, at) => (at === i ? word : old)).join(' ')
  refused(() => secretOf(changed(6, 'pirvate')), 'PHRASE_INVALID', "Did you mean 'private'")
  refused(() => secretOf(changed(0, 'hamstr')), 'PHRASE_INVALID', "Word 1 of the phrase, 'hamstr'")
  refused(() => secretOf(changed(2, 'x'.repeat(1000))), 'PHRASE_INVALID', 'Word 3')
  refused(() => secretOf(changed(6, 'zoo')), 'PHRASE_INVALID', 'do not fit together')
  refused(() => secretOf(words.slice(1).join(' ')), 'PHRASE_INVALID', 'this one has 23')
  refused(() => secretOf(''), 'PHRASE_INVALID', 'this one has 0')
  refused(() => secretOf(words.toReversed().join(' ')), 'PHRASE_INVALID', 'do not fit together')
})

test('a backup file opens with its password alone, and names the owner', async () => {
  const secret = Buffer.alloc(32, 9)
  const backup = await backupOf(secret, 'correct horse é')
  const { owner, box } = JSON.parse(backup) as { owner: string; box: string }
  assert.equal(owner, (await Keyring.of(secret)).owner.peerId)
  assert.deepEqual(Buffer.from(await secretOfBackup(backup, 'correct horse é'.normalize('NFD'))), secret)
  const rejected = (text: string, password: string, code: string) =>
    assert.rejects(secretOfBackup(text, password), (error) => isPinGoError(error, code))
  await rejected(backup, 'correct horse e', 'PASSWORD_WRONG')
  const other = Buffer.from(box, 'base64')
  other[20]! ^= 1
  await rejected(backup.replace(box, other.toString('base64')), 'correct horse é', 'PASSWORD_WRONG')
  const stranger = (await Keyring.of(Buffer.alloc(32, 1))).owner.peerId
  await rejected(backup.replace(owner, stranger), 'correct horse é', 'PASSWORD_WRONG')
  await rejected(backup.replace('"version": 1', '"version": 2'), 'correct horse é', 'BACKUP_MALFORMED')
  await rejected(backup.replace('131072', '1073741824'), 'correct horse é', 'BACKUP_MALFORMED')
  await rejected('not JSON', 'correct horse é', 'BACKUP_MALFORMED')
  await rejected(`${backup}${' '.repeat(10_000)}`, 'correct horse é', 'BACKUP_MALFORMED')
  await assert.rejects(backupOf(secret, 'short'), (error) => isPinGoError(error, 'PASSWORD_WEAK'))
})
