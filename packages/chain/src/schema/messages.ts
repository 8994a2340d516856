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
  {
    queryId: 'uint64',
    /** Gets the GRAM that is left. */
    respondTo: 'address',
    /** GRAM that each credit carries. */
    valueEach: 'coins',
    holders: 'dict',
  },
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

// ---------------------------------------------------------------- emission vault

/** What never changes in an emission vault. */
export const EmissionConfig = storage('EmissionConfig', 'what never changes in an emission vault', {
  minter: 'address',
  walletCode: 'cell',
  distributor: 'address',
  /** When epoch 0 begins, seconds since 1970. */
  start: 'uint32',
  epochSeconds: 'uint32',
  /** Share of `rest` that one epoch may release at most, in 2^-64. */
  decay: 'uint64',
  /** What an epoch releases for each unit of fees, in 2^-16; at most 1, so that paying oneself never pays. */
  feeShare: 'uint32',
})

/** Storage of an emission vault: what is left, and where in the curve it stands. */
export const EmissionVaultStorage = storage('EmissionVaultStorage', 'of an emission vault', {
  /** Units that are left to emit. */
  rest: 'coins',
  /** Units of protocol fees that came in since the last release. */
  fees: 'coins',
  /** Units that the next epoch releases even without fees; declines with the curve. */
  floor: 'coins',
  /** Epochs that were released. */
  epoch: 'uint32',
  wallet: 'address?',
  config: EmissionConfig,
})

/** Anyone to vault: release the epochs that have ended. */
export const ReleaseEpochs = message(
  'ReleaseEpochs',
  ownOp('release_epochs'),
  'releases up to `most` epochs that have ended',
  { queryId: 'uint64', most: 'uint8' },
)

/** Forward payload of PINGO that a paid job gives to the network: counts as fees of the running epoch. */
export const ProtocolFee = message('ProtocolFee', ownOp('protocol_fee'), 'forward payload: a fee of a paid job', {})

/** Forward payload of what a vault releases. */
export const EpochFunding = message('EpochFunding', ownOp('epoch_funding'), 'forward payload: what epochs released', {
  /** The first epoch that is still to come. */
  nextEpoch: 'uint32',
})

// ---------------------------------------------------------------- vesting

/** What never changes in a vesting contract. */
export const VestingConfig = storage('VestingConfig', 'what never changes in a vesting contract', {
  minter: 'address',
  walletCode: 'cell',
  beneficiary: 'address',
  total: 'coins',
  /** Seconds since 1970. */
  start: 'uint32',
  /** Seconds after `start` in which nothing is vested. */
  cliff: 'uint32',
  /** Seconds after the cliff in which all is vested, linearly. */
  duration: 'uint32',
})

/** Storage of a vesting contract: nothing until `start + cliff`, then linear for `duration`. */
export const JettonVestingStorage = storage('JettonVestingStorage', 'of a vesting contract', {
  released: 'coins',
  wallet: 'address?',
  config: VestingConfig,
})

/** Anyone to a vesting contract or a claimant to its reward account: pay out what is vested. */
export const Release = message('Release', ownOp('release'), 'pays what is vested to the beneficiary', {
  queryId: 'uint64',
})

// ---------------------------------------------------------------- rewards and airdrop

/** Who may do what with a distributor; never changes. */
export const DistributorRoles = storage('DistributorRoles', 'who may do what with a distributor; never changes', {
  /** Sets roots. */
  authority: 'address',
  /** Ed25519 key whose signature slashes. */
  arbiter: 'uint256',
  /** Where slashed and unclaimed units go. */
  treasury: 'address',
})

/** What never changes in a distributor. */
export const DistributorConfig = storage('DistributorConfig', 'what never changes in a distributor', {
  minter: 'address',
  walletCode: 'cell',
  /** When what nobody claimed goes to the treasury, seconds since 1970; 0 is never. */
  deadline: 'uint32',
  roles: DistributorRoles,
})

/** Storage of a distributor: the money, the root of what accounts have earned, and what an account's address follows from. */
export const RewardDistributorStorage = storage('RewardDistributorStorage', 'of a distributor', {
  /** Units that went out. */
  paid: 'coins',
  /** Units that came in. */
  funded: 'coins',
  root: 'uint256',
  wallet: 'address?',
  /** Percent of a claim that is paid at once. */
  liquid: 'uint8',
  /** Seconds over which the rest of a claim becomes free. */
  lock: 'uint32',
  accountCode: 'cell',
  epoch: 'uint32',
  /** Sum of all that the root's tree grants. */
  promised: 'coins',
  config: DistributorConfig,
})

/** Authority to distributor: the tree of one more epoch. */
export const SetRoot = message('SetRoot', ownOp('set_root'), "the authority sets the next epoch's tree", {
  queryId: 'uint64',
  epoch: 'uint32',
  root: 'uint256',
  promised: 'coins',
})

/** Storage of a claimant's account with a distributor. */
export const RewardAccountStorage = storage('RewardAccountStorage', "of a claimant's account", {
  /** Units that were proven and taken, liquid and locked. */
  claimed: 'coins',
  owner: 'address',
  distributor: 'address',
  /** Percent of a claim that is paid at once. */
  liquid: 'uint8',
  /** Seconds over which a locked part becomes free. */
  lock: 'uint32',
  /** The newest locked part, and the day on which it began, seconds since 1970. */
  newest: 'coins',
  newestSince: 'uint32',
  /** Parts that are in `older`. */
  olderCount: 'uint8',
  older: 'cell?',
  /** Units of the locked parts that were paid. */
  released: 'coins',
  /** Number of the last slash. */
  slashes: 'uint32',
})

/** A locked part of an account, and those before it. */
export const Tranche = storage('Tranche', 'a locked part of an account, and those before it', {
  amount: 'coins',
  /** From when on it becomes free, linearly; seconds since 1970. */
  since: 'uint32',
  older: 'cell?',
})

/** Owner to account: a proof (`CreditTree.proof`) of what the tree grants to the owner in total. */
export const Claim = message(
  'Claim',
  ownOp('claim'),
  'the owner claims what the tree grants',
  { queryId: 'uint64', proof: 'cell' },
  { first: true },
)

/** Account to distributor: pay what a tree grants. */
export const Payout = message(
  'Payout',
  ownOp('payout'),
  'an account asks its distributor to pay what a tree grants',
  {
    queryId: 'uint64',
    /** What this adds to `claimed`. */
    due: 'uint64',
    pay: 'uint64',
    /**
     * The owner's address in the base workchain, xor the root that the proof was of: only with the root that the account has read
     * does the distributor come upon the owner again, and so upon the account's address.
     */
    claimant: 'uint256',
  },
  { first: true },
)

/** Account to distributor: pay what was locked and became free. */
export const PayoutFree = message(
  'PayoutFree',
  ownOp('payout_free'),
  'an account asks its distributor to pay what became free',
  {
    queryId: 'uint64',
    pay: 'uint64',
    /** The owner's address in the base workchain. */
    owner: 'uint256',
  },
)

/** What the arbiter signs: the hash of this cell. */
export const SlashVerdict = message('SlashVerdict', ownOp('slash_verdict'), 'what the arbiter signs', {
  distributor: 'address',
  owner: 'address',
  amount: 'coins',
  sequence: 'uint32',
  /** Hash of the evidence that the verdict rests on. */
  evidence: 'uint256',
})

/** Anyone to distributor: a claimant's work was false, by the arbiter's word. */
export const SlashReward = message(
  'SlashReward',
  ownOp('slash_reward'),
  "takes locked rewards by the arbiter's verdict",
  {
    queryId: 'uint64',
    signature: 'bits512',
    verdict: SlashVerdict,
  },
)

/** Distributor to account: a verdict. */
export const SlashAccount = message('SlashAccount', ownOp('slash_account'), 'the distributor passes a verdict on', {
  queryId: 'uint64',
  amount: 'coins',
  sequence: 'uint32',
  respondTo: 'address',
})

/** Account to distributor: so much was taken. */
export const Slashed = message('Slashed', ownOp('slashed'), 'an account tells what a verdict took', {
  queryId: 'uint64',
  amount: 'coins',
  owner: 'address',
  respondTo: 'address',
})

/** Anyone to distributor after its deadline: what nobody claimed goes to the treasury. */
export const Sweep = message('Sweep', ownOp('sweep'), 'after the deadline: the rest goes to the treasury', {
  queryId: 'uint64',
})

// ---------------------------------------------------------------- pass: TEP-62, TEP-66, TEP-85

/** What never changes in the collection of passes. */
export const CollectionConfig = storage('CollectionConfig', 'what never changes in the collection', {
  /** Content of the collection, TEP-64. */
  content: 'cell',
  /** Content of a pass by its level: dictionary uint8 -> cell, TEP-64. */
  passContents: 'dict',
})

/** Storage of the collection of passes: what a mint needs first, and last what it hands on to the pass as it is. */
export const ContributorCollectionStorage = storage('ContributorCollectionStorage', 'of the collection', {
  /** Root of the tree of what accounts have earned in credit. */
  root: 'uint256',
  /** Credit of level 1; each further level takes twice as much. */
  unit: 'uint64',
  passCode: 'cell',
  config: CollectionConfig,
  /** Sets roots, revokes passes. */
  authority: 'address',
  epoch: 'uint32',
})

/** Whoever earned it, to the collection: mint my pass, or raise it. The proof is a `CreditTree.proof` of the sender. */
export const ClaimPass = message(
  'ClaimPass',
  ownOp('claim_pass'),
  'the sender claims its pass by a proof of credit',
  { queryId: 'uint64', proof: 'cell' },
  { first: true },
)

/** Authority to collection: the tree of one more epoch. */
export const SetCreditRoot = message(
  'SetCreditRoot',
  ownOp('set_credit_root'),
  "the authority sets the next epoch's tree",
  {
    queryId: 'uint64',
    epoch: 'uint32',
    root: 'uint256',
  },
)

/** What a pass is born with: its address follows from it. */
export const PassBirth = storage('PassBirth', 'what a pass is born with', {
  /** Hash of the owner's address in the base workchain. */
  index: 'uint256',
  collection: 'address',
})

/** What the collection says of an owner. */
export const PassGrant = storage('PassGrant', 'what the collection says of an owner', {
  level: 'uint8',
  authority: 'address',
  /** The newest epoch whose tree showed the credit. */
  epoch: 'uint32',
})

/** Storage of a pass once it was minted: what it was born with, what the collection said, and whether it was revoked. */
export const ContributorPassStorage = storage('ContributorPassStorage', 'of a pass that was minted', {
  ...PassBirth.fields,
  ...PassGrant.fields,
  /** 0 once destroyed. */
  level: 'uint8',
  /** Null once destroyed. */
  authority: 'address?',
  /** Nothing, or when it was revoked: 64 bits, seconds since 1970. */
  revocation: 'rest',
})

/** Collection to pass: this is what its owner has earned. */
export const MintPass = message(
  'MintPass',
  ownOp('mint_pass'),
  'the collection mints or raises a pass',
  { queryId: 'uint64', ...PassGrant.fields },
  { first: true },
)

/** The individual content of a pass. */
export const PassContent = storage('PassContent', 'individual content of a pass', { level: 'uint8', epoch: 'uint32' })

/** TEP-62: refused by every pass. */
export const NftTransfer = message('NftTransfer', STANDARD.nftTransfer, 'TEP-62: a pass refuses it always', {
  queryId: 'uint64',
  rest: 'rest',
})

/** TEP-62: asks an item what it is. */
export const GetStaticData = message('GetStaticData', STANDARD.getStaticData, 'TEP-62: asks an item what it is', {
  queryId: 'uint64',
})

/** TEP-62: what an item is. */
export const ReportStaticData = message('ReportStaticData', STANDARD.reportStaticData, 'TEP-62: what an item is', {
  queryId: 'uint64',
  index: 'uint256',
  collection: 'address',
})

/** TEP-66: asks a collection for its royalty. */
export const GetRoyaltyParams = message('GetRoyaltyParams', STANDARD.getRoyaltyParams, 'TEP-66: asks for the royalty', {
  queryId: 'uint64',
})

/** TEP-66: the royalty: none, passes are not sold. */
export const ReportRoyaltyParams = message('ReportRoyaltyParams', STANDARD.reportRoyaltyParams, 'TEP-66: the royalty', {
  queryId: 'uint64',
  numerator: 'uint16',
  denominator: 'uint16',
  destination: 'address',
})

/** TEP-85, owner to pass: prove to `destination` that I am its owner. */
export const ProveOwnership = message(
  'ProveOwnership',
  STANDARD.proveOwnership,
  'TEP-85: the owner has ownership proven',
  {
    queryId: 'uint64',
    destination: 'address',
    forwardPayload: 'cell',
    withContent: 'bool',
  },
)

/** TEP-85, pass to whom its owner wants. */
export const OwnershipProof = message('OwnershipProof', STANDARD.ownershipProof, "TEP-85: a pass's word on its owner", {
  queryId: 'uint64',
  index: 'uint256',
  owner: 'address',
  data: 'cell',
  revokedAt: 'uint64',
  content: 'cell?',
})

/** Pass to its owner: the destination refused the proof, here is its GRAM. As the implementation has it that TEP-85 names. */
export const OwnershipProofBounced = message(
  'OwnershipProofBounced',
  STANDARD.ownershipProofBounced,
  'the destination of a proof refused it',
  { queryId: 'uint64' },
)

/** TEP-85, anyone to pass: tell `destination` who the owner is. */
export const RequestOwner = message('RequestOwner', STANDARD.requestOwner, 'TEP-85: anyone has the owner told', {
  queryId: 'uint64',
  destination: 'address',
  forwardPayload: 'cell',
  withContent: 'bool',
})

/** TEP-85, pass to whom somebody wants. */
export const OwnerInfo = message('OwnerInfo', STANDARD.ownerInfo, 'TEP-85: who asked, and who the owner is', {
  queryId: 'uint64',
  index: 'uint256',
  initiator: 'address',
  /** addr_none once destroyed. */
  owner: 'address?',
  data: 'cell',
  revokedAt: 'uint64',
  content: 'cell?',
})

/** TEP-85, owner to pass: end it. */
export const DestroyPass = message('DestroyPass', STANDARD.destroy, 'TEP-85: the owner ends its pass', {
  queryId: 'uint64',
})

/** TEP-85, authority to pass: it counts no more. */
export const RevokePass = message('RevokePass', STANDARD.revoke, 'TEP-85: the authority revokes a pass', {
  queryId: 'uint64',
})

/** Owner to pass: what is above the rent comes back. As the implementation has it that TEP-85 names. */
export const TakeExcess = message('TakeExcess', STANDARD.takeExcess, 'the owner takes what is above the rent', {
  queryId: 'uint64',
})

// ---------------------------------------------------------------- access gate

/** Storage of a gate. */
export const AccessGateStorage = storage('AccessGateStorage', 'of a gate', {
  collection: 'address',
  passCode: 'cell',
  minLevel: 'uint8',
  /** Seconds that a grant lasts. */
  grantSeconds: 'uint32',
  /** Grants: dictionary owner's hash -> GateGrant. */
  grants: 'dict',
  grantsCount: 'uint16',
})

/** One grant of a gate. */
export const GateGrant = storage('GateGrant', 'one grant of a gate', { nonce: 'uint64', until: 'uint32' })

/** What an owner puts into a proof for a gate: `data` of the ownership proof. */
export const GateRequest = message(
  'GateRequest',
  ownOp('gate_request'),
  'data of an ownership proof that is for a gate',
  {
    gate: 'address',
    /** Larger than the owner's last one. */
    nonce: 'uint64',
    /** The gate refuses it from then on, seconds since 1970. */
    validUntil: 'uint32',
  },
)

/** Gate to the world (external log): so somebody was let in. */
export const GateOpened = message('GateOpened', ownOp('gate_opened'), 'log: a gate let an owner in', {
  owner: 'address',
  nonce: 'uint64',
  until: 'uint32',
  level: 'uint8',
})
// ---------------------------------------------------------------- PINGO that a contract holds, and vouchers

/** Which jetton a contract deals in: it computes the address of its own wallet from this. */
export const PingoToken = storage('PingoToken', 'the jetton that a contract deals in', {
  minter: 'address',
  walletCode: 'cell',
})

/** What a payer signs, off-chain: never sent as such. `contract` is a voucher channel or a job's escrow. */
export const Voucher = message(
  'Voucher',
  ownOp('voucher'),
  "what a payer signs: `contract` may pay its payee `amount` in total. The cell's hash is signed, the cell is never sent",
  { network: 'int32', contract: 'address', amount: 'coins' },
)

/** Anyone to a voucher channel or a job's escrow: pay the payee what the voucher says, less what was paid. */
export const ClaimVoucher = message(
  'ClaimVoucher',
  ownOp('claim_voucher'),
  'pays the payee by a voucher of the payer',
  {
    queryId: 'uint64',
    amount: 'coins',
    signature: 'bits512',
  },
)

// ---------------------------------------------------------------- voucher channel

/** The payer begins the challenge window; the payee ends the channel at once. */
export const CloseChannel = message(
  'CloseChannel',
  ownOp('close_channel'),
  'by the payer: the payee may claim for `challengeSeconds` more; by the payee: the rest returns to the payer at once',
  { queryId: 'uint64' },
)

/** Anyone, after the end: the rest returns to the payer. */
export const SettleChannel = message(
  'SettleChannel',
  ownOp('settle_channel'),
  'after the end of the channel: the rest returns to the payer',
  { queryId: 'uint64' },
)

/** What never changes in a channel. `payerKey` signs the vouchers; `id` tells apart channels of the same parties. */
export const ChannelTerms = storage('ChannelTerms', 'what never changes in a channel', {
  payee: 'address',
  payerKey: 'uint256',
  network: 'int32',
  payer: 'address',
  challengeSeconds: 'uint32',
  id: 'uint64',
  token: PingoToken,
})

/** Storage of a voucher channel. All amounts are totals of its whole life; `wallet` is known since the first funding. */
export const ChannelStorage = storage('ChannelStorage', 'of a voucher channel; the amounts are totals of its life', {
  claimed: 'coins',
  funded: 'coins',
  endsAt: 'uint32',
  wallet: 'address?',
  returned: 'coins',
  terms: ChannelTerms,
})

// ---------------------------------------------------------------- job escrow

/** Payer or payee: the refund waits for the arbiter. */
export const RaiseDispute = message(
  'RaiseDispute',
  ownOp('raise_dispute'),
  'by payer or payee: the refund waits for the verdict of the arbiter',
  { queryId: 'uint64' },
)

/** What an arbiter signs about a job, off-chain. */
export const JobVerdict = message(
  'JobVerdict',
  ownOp('job_verdict'),
  'what the arbiter signs: `payeeTotal` of the budget is the payee’s, with what was released before. Never sent',
  { network: 'int32', contract: 'address', job: 'uint256', payeeTotal: 'coins' },
)

/** Anyone, with the arbiter's signature: splits the budget. */
export const GiveVerdict = message(
  'GiveVerdict',
  ownOp('give_verdict'),
  'splits the budget as the arbiter has signed',
  {
    queryId: 'uint64',
    payeeTotal: 'coins',
    signature: 'bits512',
  },
)

/** The rest returns to the payer, where its time has come or the payee lets go. */
export const RefundJob = message(
  'RefundJob',
  ownOp('refund_job'),
  'the rest returns to the payer: when its time has come, or when the payee asks for it',
  { queryId: 'uint64' },
)

/** Who signs for a job: the payer's vouchers, the arbiter's verdict. */
export const JobKeys = storage('JobKeys', 'who signs: the payer vouchers, the arbiter the verdict', {
  payerKey: 'uint256',
  arbiterKey: 'uint256',
})

/** What never changes in a job's escrow. `job` is the hash of the job. Times in seconds since 1970, or seconds. */
export const JobTerms = storage('JobTerms', "what never changes in a job's escrow", {
  payee: 'address',
  network: 'int32',
  payer: 'address',
  job: 'uint256',
  deadline: 'uint32',
  disputeSeconds: 'uint32',
  verdictSeconds: 'uint32',
  keys: JobKeys,
  token: PingoToken,
})

/** Storage of a job's escrow. The amounts are totals of its life; `granted` is what a verdict gave to the payee. */
export const JobStorage = storage('JobStorage', "of a job's escrow; the amounts are totals of its life", {
  released: 'coins',
  funded: 'coins',
  refunded: 'coins',
  isDecided: 'bool',
  granted: 'coins',
  disputedAt: 'uint32',
  wallet: 'address?',
  terms: JobTerms,
})

// ---------------------------------------------------------------- node stake

/** What a node's key signs so that `owner` may bond for it: nobody takes a key that is not theirs. */
export const NodeConsent = message(
  'NodeConsent',
  ownOp('node_consent'),
  "what a node's key signs: `owner` may bond for it. Never sent",
  { network: 'int32', contract: 'address', owner: 'address' },
)

/** Payload of a transfer of PINGO to the stake contract. */
export const BondNode = message('BondNode', ownOp('bond_node'), 'with a transfer of PINGO: bonds them for a node', {
  key: 'uint256',
  signature: 'bits512',
})

/** Owner: part of the bond, or all of it, begins to unbond. */
export const UnbondNode = message('UnbondNode', ownOp('unbond_node'), 'by the owner: `amount` begins to unbond', {
  queryId: 'uint64',
  key: 'uint256',
  amount: 'coins',
})

/** Owner: what has unbonded is paid out. */
export const WithdrawBond = message(
  'WithdrawBond',
  ownOp('withdraw_bond'),
  'by the owner: pays out what has unbonded',
  {
    queryId: 'uint64',
    key: 'uint256',
  },
)

/** Anyone: pays to `to` what could not be paid before. */
export const CollectOwed = message('CollectOwed', ownOp('collect_owed'), 'pays to `to` what came back before', {
  queryId: 'uint64',
  to: 'address',
})

/** What a node signs when it votes on the fog nodes' chain. Kinds: 1 notarise, 2 finalise, 3 skip. */
export const Vote = message(
  'Vote',
  ownOp('vote'),
  'what a node signs when it votes: kinds 1 notarise, 2 finalise, 3 skip',
  {
    network: 'int32',
    slot: 'uint64',
    kind: 'uint8',
    hash: 'uint256',
  },
)

/** A vote and the node's signature of it. */
export const SignedVote = storage('SignedVote', 'a vote with its signature', {
  slot: 'uint64',
  kind: 'uint8',
  hash: 'uint256',
  signature: 'bits512',
})

/** Anyone: two votes of one node that contradict each other. */
export const SlashEquivocation = message(
  'SlashEquivocation',
  ownOp('slash_equivocation'),
  'by anyone: two votes of a node that contradict each other',
  { queryId: 'uint64', key: 'uint256', first: SignedVote, second: SignedVote },
)

/** What an arbiter signs about a node: it loses `amount`. `since` and `number` bind it to this bond and to one use. */
export const StakeVerdict = message(
  'StakeVerdict',
  ownOp('stake_verdict'),
  'what the arbiter signs: the node loses `amount`; `since` and `number` bind it to one bond and one use. Never sent',
  { network: 'int32', contract: 'address', key: 'uint256', since: 'uint32', number: 'uint16', amount: 'coins' },
)

/** Anyone, with the arbiter's signature: a node has lost a dispute. */
export const SlashByVerdict = message(
  'SlashByVerdict',
  ownOp('slash_by_verdict'),
  'by anyone: a node has lost a dispute, as the arbiter has signed',
  { queryId: 'uint64', key: 'uint256', number: 'uint16', amount: 'coins', signature: 'bits512' },
)

/** A node's bond. `since`: time of its first bond; `verdicts`: how many it has lost. */
export const StakedNode = storage('StakedNode', "a node's bond", {
  owner: 'address',
  bonded: 'coins',
  unbonding: 'coins',
  unlocksAt: 'uint32',
  since: 'uint32',
  verdicts: 'uint16',
})

/** What never changes in the stake contract. `bountyParts`: ten-thousandths of what is slashed that go to whoever showed it. */
export const StakeTerms = storage('StakeTerms', 'what never changes in the stake contract', {
  treasury: 'address',
  arbiterKey: 'uint256',
  network: 'int32',
  minBond: 'coins',
  unbondSeconds: 'uint32',
  bountyParts: 'uint16',
  token: PingoToken,
})

/** Storage of the stake contract: `nodes` key -> StakedNode, `slashed` keys that are out for good, `owed` address hash -> coins. */
export const StakeStorage = storage(
  'StakeStorage',
  'of the stake contract: `nodes` key -> StakedNode, `slashed` keys that are out for good, `owed` address hash -> coins',
  {
    nodeCount: 'uint8',
    slashedCount: 'uint16',
    nodes: 'dict',
    slashed: 'dict',
    owed: 'dict',
    wallet: 'address?',
    terms: StakeTerms,
  },
)

// ---------------------------------------------------------------- meme factory

/** Codes of what a factory deploys; never change. */
export const MemeTemplates = storage('MemeTemplates', 'codes of what a factory deploys; never change', {
  minterCode: 'cell',
  walletCode: 'cell',
  vestingCode: 'cell',
})

/** What never changes in a factory. */
export const MemeFactoryConfig = storage('MemeFactoryConfig', 'what never changes in a factory', {
  /** Gets the fees. */
  treasury: 'address',
  /** Fee of a launch that is paid in GRAM, in nano. */
  feeGram: 'coins',
  /** Fee of a launch that is paid in PINGO, in units. */
  feePingo: 'coins',
  /** Percent of a supply that its creator may have at most. */
  mostPercent: 'uint8',
  /** Seconds in which the creator gets nothing of its share. */
  cliff: 'uint32',
  /** Seconds after the cliff in which the share becomes free, linearly. */
  duration: 'uint32',
  /** PINGO's minter and the code of its wallets: whose notifications count as a fee. */
  pingoMinter: 'address',
  pingoWalletCode: 'cell',
  templates: MemeTemplates,
})

/** Storage of a factory. */
export const MemeFactoryStorage = storage('MemeFactoryStorage', 'of a factory', {
  /** Tokens that were launched. */
  count: 'uint64',
  /** Its own PINGO wallet, once computed. */
  wallet: 'address?',
  config: MemeFactoryConfig,
})

/** Creator to factory with the fee in GRAM, or forward payload of the fee in PINGO: launch a token. */
export const LaunchMeme = message('LaunchMeme', ownOp('launch_meme'), 'launches a token with a fixed supply', {
  queryId: 'uint64',
  /** Units, all of which are minted at once. */
  supply: 'coins',
  /** Percent of the supply that the creator gets, vested. */
  creatorPercent: 'uint8',
  /** Who gets the rest: dictionary address hash of the base workchain -> coins. */
  holders: 'dict',
  /** TEP-64 content on the chain, with name, symbol and the hash of the picture. */
  content: 'cell',
})

/** What the factory writes into a token's content, at the key sha256("pingo_launch"): so that no two tokens share an address. */
export const MemeLaunch = storage('MemeLaunch', 'where a token comes from: stands in its content', {
  /** From 0. */
  number: 'uint64',
  creator: 'address',
  creatorPercent: 'uint8',
  /** Seconds since 1970. */
  at: 'uint32',
})

/** Factory to the world (external log): a token was launched. */
export const MemeLaunched = message('MemeLaunched', ownOp('meme_launched'), 'log: a token was launched', {
  minter: 'address',
  vesting: 'address?',
  launch: MemeLaunch,
})
