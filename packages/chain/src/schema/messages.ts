import { message, storage } from './layout.ts'
import { ownOp, STANDARD } from './ops.ts'

// ---------------------------------------------------------------- jetton: TEP-74, TEP-89

/** Owner to own wallet: send jettons. */
export const JettonTransfer = message('JettonTransfer', STANDARD.jettonTransfer, 'TEP-74: the owner sends jettons', {
  queryId: 'uint64',
  amount: 'coins',
  destination: 'address',
  responseDestination: 'address?',
  customPayload: 'cell?',
  forwardAmount: 'coins',
  forwardPayload: 'rest',
})

/** Wallet to wallet. */
export const InternalTransfer = message(
  'InternalTransfer',
  STANDARD.internalTransfer,
  'TEP-74: one wallet credits another',
  {
    queryId: 'uint64',
    amount: 'coins',
    from: 'address?',
    responseAddress: 'address?',
    forwardAmount: 'coins',
    forwardPayload: 'rest',
  },
)

/** Wallet to its owner: jettons came. */
export const TransferNotification = message(
  'TransferNotification',
  STANDARD.transferNotification,
  'TEP-74: a wallet tells its owner that jettons came',
  { queryId: 'uint64', amount: 'coins', sender: 'address?', forwardPayload: 'rest' },
)

/** Owner to own wallet: destroy jettons. */
export const JettonBurn = message('JettonBurn', STANDARD.jettonBurn, 'TEP-74: the owner destroys jettons', {
  queryId: 'uint64',
  amount: 'coins',
  responseDestination: 'address?',
  customPayload: 'cell?',
})

/** Wallet to minter: jettons were destroyed. */
export const BurnNotification = message(
  'BurnNotification',
  STANDARD.burnNotification,
  'TEP-74: a wallet tells the minter what was destroyed',
  { queryId: 'uint64', amount: 'coins', sender: 'address', responseDestination: 'address?' },
)

/** What is left of the GRAM of a request goes back. */
export const Excesses = message('Excesses', STANDARD.excesses, 'TEP-62, TEP-74: what is left of a message goes back', {
  queryId: 'uint64',
})

/** Anyone to minter: which wallet has this owner? */
export const ProvideWalletAddress = message(
  'ProvideWalletAddress',
  STANDARD.provideWalletAddress,
  "TEP-89: asks for the address of an owner's wallet",
  { queryId: 'uint64', owner: 'address', includeAddress: 'bool' },
)

/** Minter's answer: the wallet, or addr_none where the owner can have none. */
export const TakeWalletAddress = message(
  'TakeWalletAddress',
  STANDARD.takeWalletAddress,
  "TEP-89: the address of an owner's wallet, or addr_none",
  { queryId: 'uint64', wallet: 'address?', owner: 'cell?' },
)

/** GRAM that stays on the contract. */
export const TopUp = message('TopUp', STANDARD.topUp, 'GRAM that stays on the contract', {})

/** Deployer to minter, once: the whole supply to its holders; the admin is dropped by the same message. */
export const Genesis = message(
  'Genesis',
  ownOp('genesis'),
  'mints the whole supply to `holders` (address hash of the base workchain -> coins) and drops the admin',
  { queryId: 'uint64', valueEach: 'coins', holders: 'dict' },
)

/** Storage of a jetton's minter. `admin` is null from genesis on. */
export const JettonMinterStorage = storage('JettonMinterStorage', 'of the minter; `admin` is null from genesis on', {
  supply: 'coins',
  maxSupply: 'coins',
  admin: 'address?',
  walletCode: 'cell',
  content: 'cell',
})

/** Storage of a jetton's wallet. */
export const JettonWalletStorage = storage('JettonWalletStorage', 'of a wallet', {
  balance: 'coins',
  owner: 'address',
  minter: 'address',
})
