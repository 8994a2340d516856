/** A mutant that no test can tell from the source, and why: not counted, and not hidden. */
export interface Equivalent {
  file: string
  /** A piece of the line that it is in. */
  line: string
  /** A piece of one of the three lines above, where the line itself does not tell it from others. */
  under?: string
  before: string
  after: string
  because: string
}

export const EQUIVALENTS: readonly Equivalent[] = [
  {
    file: 'token/jetton-vesting.tolk',
    line: 'if (since < 0)',
    before: '<',
    after: '<=',
    because: 'at the cliff itself nothing is vested by the linear rule either',
  },
  {
    file: 'token/jetton-vesting.tolk',
    line: 'return since >= self.duration',
    before: '>=',
    after: '>',
    because: 'at the end the linear rule gives the total too',
  },
  {
    file: 'token/jetton-vesting.tolk',
    line: 'if (since < 0)',
    before: '0',
    after: '1',
    because: 'at the cliff itself nothing is vested by the linear rule either',
  },
  {
    file: 'common/pingo.tolk',
    line: 'return 0',
    before: '0',
    after: '1',
    because: 'no message has the op-code 1 either',
  },
  {
    file: 'common/pingo.tolk',
    line: '? 0 :',
    before: '0',
    after: '1',
    because: 'no message has the op-code 1 either',
  },
  {
    file: 'jetton/wallet.tolk',
    line: 'remainingBitsCount() <= 1',
    before: '1',
    after: '2',
    because:
      'a payload of two bits fits into the cell of the message too; whether it lies there or beside it nobody can tell',
  },
  {
    file: 'jetton/wallet.tolk',
    line: 'SEND_MODE_BOUNCE_ON_ACTION_FAIL',
    under: 'responseDestination: msg.responseDestination',
    before: '| SEND_MODE_BOUNCE_ON_ACTION_FAIL',
    after: '',
    because:
      'a burn has paid for just the message that it sends, at the price of that moment: it can’t fail to be sent',
  },
  {
    file: 'meme/factory.tolk',
    line: 'SEND_MODE_BOUNCE_ON_ACTION_FAIL',
    under: 'value: VESTING_VALUE',
    before: '| SEND_MODE_BOUNCE_ON_ACTION_FAIL',
    after: '',
    because:
      'the GRAM that was asked for is many times what this message takes; genesis, which takes the rest, has the flag too',
  },
  {
    file: 'meme/factory.tolk',
    line: 'SEND_MODE_BOUNCE_ON_ACTION_FAIL',
    under: 'storeMaybeRef(null)',
    before: '| SEND_MODE_BOUNCE_ON_ACTION_FAIL',
    after: '',
    because: 'wallets tell of payments by messages that never bounce',
  },
  {
    file: 'rewards/reward-account.tolk',
    line: 'return held >= lock',
    before: '>=',
    after: '>',
    because: 'at the end of a lock the linear rule gives the whole amount too',
  },
]
