/** A mutant that no test can tell from the source, and why: not counted, and not hidden. */
export interface Equivalent {
  file: string
  /** A piece of the line that it is in. */
  line: string
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
]
