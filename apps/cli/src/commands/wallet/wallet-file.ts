import { join } from 'node:path'
import type { UnlockedWallet, WalletFile } from '@pingo/chain'
import { homeFolder } from '@pingo/client/local'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { readPassword } from '../../ask.ts'
import { command, type JsonOption } from '../../context.ts'

export const MAIN_WALLET = 'main'

export interface WalletOptions extends JsonOption {
  wallet: string
  passwordFile?: string
}

/** A command on one of this machine's wallets. */
export function walletFileCommand(name: string, description: string, examples: string[]): Command {
  return command(name, description, examples).option('--wallet <name>', 'which wallet', MAIN_WALLET)
}

/** A command that needs the wallet's passphrase. */
export const withPassphrase = (of: Command): Command =>
  of.option('--password-file <file>', "the wallet's passphrase is in this file (or in PINGO_PASSWORD)")

/** Where a wallet lies. @throws PinGoError USAGE_WALLET */
export function walletPath(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(name))
    throw new PinGoError('USAGE_WALLET', 'The name of a wallet has letters, digits, - and _ only, 32 at most.')
  return join(homeFolder(), 'wallets', `${name}.json`)
}

/** A wallet of this machine. @throws PinGoError WALLET_NONE */
export async function loadWallet(name: string): Promise<WalletFile> {
  const { readWalletFile } = await import('@pingo/chain')
  const file = await readWalletFile(walletPath(name))
  if (!file)
    throw new PinGoError('WALLET_NONE', `There is no wallet ${name} on this machine.`, {
      hint: `Make one with \`pingo wallet new${name === MAIN_WALLET ? '' : ` --wallet ${name}`}\`.`,
    })
  return file
}

/** Runs `work` with the key of a wallet, and forgets the key. */
export async function withKey<T>(
  file: WalletFile,
  flags: WalletOptions,
  work: (wallet: UnlockedWallet) => Promise<T>,
): Promise<T> {
  const { unlockWallet } = await import('@pingo/chain')
  const wallet = await unlockWallet(file, await readPassword({ file: flags.passwordFile, question: 'Passphrase' }))
  try {
    return await work(wallet)
  } finally {
    wallet.lock()
  }
}
