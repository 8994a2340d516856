import { PinGoError } from '@pingo/wire'
import { mnemonicNew, mnemonicToPrivateKey, mnemonicValidate, mnemonicWordList } from '@ton/crypto'
import { SEED_BYTES } from '../keys/ed25519.ts'

/** Words of a wallet: TON's own standard (tonlib, `Mnemonic.cpp`), which TON's wallets import and export. Not BIP-39, whose list it shares. */
export const MNEMONIC_WORDS = 24
/** Characters of the words, spaces included; the longest word has 8. */
export const MAX_MNEMONIC_CHARACTERS = MNEMONIC_WORDS * 9

/** New words, of 256 bits from the system's generator. */
export async function newMnemonic(): Promise<string[]> {
  return mnemonicNew(MNEMONIC_WORDS)
}

/**
 * The words that a text holds; case, numbering and spaces do not matter.
 *
 * @throws PinGoError MNEMONIC_INVALID, which says which word is wrong
 */
export async function parseMnemonic(text: string): Promise<string[]> {
  const words = text
    .slice(0, 4 * MAX_MNEMONIC_CHARACTERS)
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '')
  // the word itself is not repeated: it may be a part of the secret, and errors end in logs
  const unknown = words.findIndex((word) => !mnemonicWordList.includes(word))
  if (unknown >= 0)
    throw new PinGoError('MNEMONIC_INVALID', `Word ${unknown + 1} is not in the list of words.`, {
      hint: 'Compare it with your note.',
    })
  if (words.length !== MNEMONIC_WORDS)
    throw new PinGoError('MNEMONIC_INVALID', `A wallet has ${MNEMONIC_WORDS} words, here are ${words.length}.`)
  if (!(await mnemonicValidate(words)))
    throw new PinGoError('MNEMONIC_INVALID', 'Every word is in the list, but together they are no wallet of TON.', {
      hint: 'One is another than you noted, or two are swapped. Words of other chains (BIP-39) are not taken.',
    })
  return words
}

/** The seed of a wallet's key. Slow on purpose (100,000 rounds of PBKDF2). */
export async function seedOfMnemonic(words: readonly string[]): Promise<Buffer> {
  const { secretKey } = await mnemonicToPrivateKey([...words])
  return Buffer.from(secretKey.subarray(0, SEED_BYTES))
}
