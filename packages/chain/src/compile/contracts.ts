/**
 * The contracts: where each begins, and which folder stands for `@profile` in it. A jetton's sources are compiled twice: sharded for
 * PINGO, plain for the tokens that people launch.
 */
export const CONTRACTS = {
  'pingo-minter': { entry: 'jetton/minter.tolk', profile: 'profiles/sharded' },
  'pingo-wallet': { entry: 'jetton/wallet.tolk', profile: 'profiles/sharded' },
  'meme-minter': { entry: 'jetton/minter.tolk', profile: 'profiles/plain' },
  'meme-wallet': { entry: 'jetton/wallet.tolk', profile: 'profiles/plain' },
  'emission-vault': { entry: 'token/emission-vault.tolk', profile: 'profiles/sharded' },
  'jetton-vesting': { entry: 'token/jetton-vesting.tolk', profile: 'profiles/sharded' },
  'meme-vesting': { entry: 'token/jetton-vesting.tolk', profile: 'profiles/plain' },
  'reward-distributor': { entry: 'rewards/reward-distributor.tolk', profile: 'profiles/sharded' },
  'reward-account': { entry: 'rewards/reward-account.tolk', profile: 'profiles/sharded' },
  'contributor-collection': { entry: 'pass/contributor-collection.tolk', profile: 'profiles/sharded' },
  'contributor-pass': { entry: 'pass/contributor-pass.tolk', profile: 'profiles/sharded' },
  'access-gate': { entry: 'pass/access-gate.tolk', profile: 'profiles/sharded' },
  'voucher-channel': { entry: 'pay/channel.tolk', profile: 'profiles/sharded' },
  'job-escrow': { entry: 'pay/escrow.tolk', profile: 'profiles/sharded' },
  'node-stake': { entry: 'pay/stake.tolk', profile: 'profiles/sharded' },
  'meme-factory': { entry: 'meme/factory.tolk', profile: 'profiles/sharded' },
} as const satisfies Record<string, { entry: string; profile: string }>

export type ContractName = keyof typeof CONTRACTS
