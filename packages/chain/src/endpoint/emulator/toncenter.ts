import { PinGoError } from '@pingo/wire'
import { Address, Cell, type Message, type Transaction, type TupleItem } from '@ton/core'
import { z } from 'zod'
import type { LocalChain } from './chain.ts'
import { accountState } from './endpoint.ts'
import { methodId } from './method-id.ts'

// The JSON-RPC of toncenter, version 2, as far as wallets and libraries use it: so that TON's own programs work with a local chain.

/** Transactions of one answer at most, arguments of a get method, characters of its name. */
const MAX_TRANSACTIONS = 100
const MAX_ARGUMENTS = 32
const MAX_METHOD = 64
const MAX_BOC_CHARACTERS = 90_000

const AddressText = z
  .string()
  .max(80)
  .transform((text, context) => {
    try {
      return Address.parse(text)
    } catch {
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text.slice(0, 80))} is no address` })
      return z.NEVER
    }
  })
const Boc = z.string().max(MAX_BOC_CHARACTERS)
const Lt = z.union([z.string().regex(/^\d{1,20}$/), z.number().int().nonnegative()]).transform(BigInt)
const StackItem = z.union([
  z.tuple([z.literal('num'), z.union([z.string().max(80), z.number().int()])]),
  z.tuple([z.enum(['cell', 'tvm.Cell', 'slice', 'tvm.Slice', 'builder', 'tvm.Builder']), Boc]),
])

const PARAMETERS = {
  getMasterchainInfo: z.object({}),
  getAddressInformation: z.object({ address: AddressText }),
  getAddressBalance: z.object({ address: AddressText }),
  getTransactions: z.object({
    address: AddressText,
    limit: z
      .number()
      .int()
      .min(1)
      .max(MAX_TRANSACTIONS + 1)
      .default(10),
    lt: Lt.optional(),
    hash: z.string().max(100).optional(),
    to_lt: Lt.optional(),
  }),
  runGetMethod: z.object({
    address: AddressText,
    method: z.union([z.string().max(MAX_METHOD), z.number().int()]),
    stack: z.array(StackItem).max(MAX_ARGUMENTS).default([]),
  }),
  sendBoc: z.object({ boc: Boc }),
  sendBocReturnHash: z.object({ boc: Boc }),
  getConfigAll: z.object({}),
  // a local chain's own
  'pingo.fund': z.object({ address: AddressText, amount: z.string().regex(/^\d{1,30}$/) }),
  'pingo.advance': z.object({ seconds: z.number().int().min(0).max(3_155_760_000) }),
  'pingo.trace': z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) }),
  'pingo.status': z.object({}),
} as const

export type MethodName = keyof typeof PARAMETERS

/** @throws PinGoError CHAIN_REQUEST when the method is unknown or its parameters are not as they should be; what the chain throws. */
export async function answer(chain: LocalChain, method: string, parameters: unknown): Promise<unknown> {
  if (!Object.hasOwn(PARAMETERS, method))
    throw new PinGoError('CHAIN_REQUEST', `there is no method ${JSON.stringify(method.slice(0, MAX_METHOD))}`)
  const name = method as MethodName
  const parsed = PARAMETERS[name].safeParse(parameters ?? {})
  if (!parsed.success)
    throw new PinGoError('CHAIN_REQUEST', `${name}: ${parsed.error.issues[0]?.message ?? 'wrong parameters'}`)
  return await METHODS[name](chain, parsed.data as never)
}

type Parameters_<M extends MethodName> = z.output<(typeof PARAMETERS)[M]>

const METHODS: { [M in MethodName]: (chain: LocalChain, parameters: Parameters_<M>) => unknown } = {
  getMasterchainInfo: (chain) => ({
    last: block(chain),
    init: block(chain),
    state_root_hash: chain.head().state.toString('base64'),
  }),
  getAddressInformation(chain, { address }) {
    const { balance, status, code, data, last } = accountState(chain, address)
    return {
      '@type': 'raw.fullAccountState',
      balance: balance.toString(),
      code: base64(code),
      data: base64(data),
      last_transaction_id: {
        '@type': 'internal.transactionId',
        lt: (last?.lt ?? 0n).toString(),
        hash: (last?.hash ?? Buffer.alloc(32)).toString('base64'),
      },
      block_id: block(chain),
      frozen_hash: '',
      sync_utime: chain.now(),
      state: status === 'uninit' ? 'uninitialized' : status,
    }
  },
  getAddressBalance: (chain, { address }) => accountState(chain, address).balance.toString(),
  // with `lt`, the answer begins with that transaction itself, as toncenter's does
  getTransactions: (chain, { address, limit, lt, to_lt }) =>
    chain
      .transactions(address, limit, lt === undefined ? undefined : lt + 1n)
      .filter((transaction) => to_lt === undefined || transaction.lt > to_lt)
      .map(describe),
  async runGetMethod(chain, { address, method, stack }) {
    const id = typeof method === 'number' ? method : methodId(method)
    const result = await chain.runGetMethod(address, id, stack.map(readItem))
    const items: TupleItem[] = []
    while (result.stack.remaining > 0) items.push(result.stack.pop())
    return {
      '@type': 'smc.runResult',
      gas_used: result.gasUsed,
      exit_code: result.exitCode,
      stack: items.map(writeItem),
    }
  },
  async sendBoc(chain, { boc }) {
    await chain.send(Buffer.from(boc, 'base64'))
    return { '@type': 'ok' }
  },
  async sendBocReturnHash(chain, { boc }) {
    const hash = (await chain.send(Buffer.from(boc, 'base64'))).toString('base64')
    return { '@type': 'raw.extMessageInfo', hash, hash_norm: hash }
  },
  getConfigAll: (chain) => ({ '@type': 'configInfo', config: { '@type': 'tvm.cell', bytes: base64(chain.config()) } }),
  async 'pingo.fund'(chain, { address, amount }) {
    return { hash: (await chain.fund(address, BigInt(amount))).toString('hex') }
  },
  'pingo.advance'(chain, { seconds }) {
    chain.advance(seconds)
    return { now: chain.now() }
  },
  'pingo.trace'(chain, { hash }) {
    const found = chain.trace(Buffer.from(hash, 'hex'))
    return found && { done: found.done, transactions: found.transactions.map((transaction) => base64(transaction.raw)) }
  },
  'pingo.status'(chain) {
    const { block: height, lt, transactions, state } = chain.head()
    return {
      network: chain.globalId,
      block: height,
      lt: lt.toString(),
      transactions,
      accounts: chain.accounts(),
      pending: chain.pending(),
      now: chain.now(),
      state: state.toString('hex'),
    }
  },
}

function block(chain: LocalChain) {
  const { block: seqno, state } = chain.head()
  const hash = state.toString('base64')
  return {
    '@type': 'ton.blockIdExt',
    workchain: -1,
    shard: '-9223372036854775808',
    seqno,
    root_hash: hash,
    file_hash: hash,
  }
}

function describe(transaction: Transaction): unknown {
  const fees = transaction.totalFees.coins
  return {
    '@type': 'raw.transaction',
    utime: transaction.now,
    data: base64(transaction.raw),
    transaction_id: {
      '@type': 'internal.transactionId',
      lt: transaction.lt.toString(),
      hash: transaction.hash().toString('base64'),
    },
    fee: fees.toString(),
    storage_fee: '0',
    other_fee: fees.toString(),
    ...(transaction.inMessage && { in_msg: describeMessage(transaction.inMessage) }),
    out_msgs: transaction.outMessages.values().map(describeMessage),
  }
}

function describeMessage({ info, body }: Message): unknown {
  const internal = info.type === 'internal'
  return {
    '@type': 'raw.message',
    source: Address.isAddress(info.src) ? info.src.toString() : '',
    destination: Address.isAddress(info.dest) ? info.dest.toString() : '',
    value: internal ? info.value.coins.toString() : '0',
    fwd_fee: internal ? info.forwardFee.toString() : '0',
    ihr_fee: '0',
    created_lt: info.type === 'external-in' ? '0' : info.createdLt.toString(),
    body_hash: body.hash().toString('base64'),
    msg_data: { '@type': 'msg.dataRaw', body: base64(body), init_state: '' },
  }
}

function readItem([type, value]: z.output<typeof StackItem>): TupleItem {
  try {
    if (type === 'num') return { type: 'int', value: readInteger(String(value)) }
    const cell = Cell.fromBase64(value as string)
    if (type === 'cell' || type === 'tvm.Cell') return { type: 'cell', cell }
    return { type: type.toLowerCase().includes('slice') ? 'slice' : 'builder', cell }
  } catch (cause) {
    throw new PinGoError('CHAIN_REQUEST', `an argument of type ${type} can't be read`, { cause })
  }
}

function readInteger(text: string): bigint {
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text)
}

function writeInteger(value: bigint): string {
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`
}

/** An item of a stack as toncenter writes it; those within tuples have a form of their own. */
function writeItem(item: TupleItem): unknown {
  switch (item.type) {
    case 'int':
      return ['num', writeInteger(item.value)]
    case 'nan':
      return ['num', 'NaN']
    case 'null':
      return ['list', { '@type': 'tvm.list', elements: [] }]
    case 'tuple':
      return ['tuple', { '@type': 'tvm.tuple', elements: item.items.map(writeEntry) }]
    default:
      return [item.type, { bytes: base64(item.cell) }]
  }
}

function writeEntry(item: TupleItem): unknown {
  switch (item.type) {
    case 'int':
      return {
        '@type': 'tvm.stackEntryNumber',
        number: { '@type': 'tvm.numberDecimal', number: item.value.toString() },
      }
    case 'tuple':
      return { '@type': 'tvm.stackEntryTuple', tuple: { '@type': 'tvm.tuple', elements: item.items.map(writeEntry) } }
    case 'null':
    case 'nan':
      return { '@type': 'tvm.stackEntryList', list: { '@type': 'tvm.list', elements: [] } }
    default:
      return item.type === 'slice'
        ? { '@type': 'tvm.stackEntrySlice', slice: { '@type': 'tvm.slice', bytes: base64(item.cell) } }
        : { '@type': 'tvm.stackEntryCell', cell: { '@type': 'tvm.cell', bytes: base64(item.cell) } }
  }
}

function base64(cell: Cell | null | undefined): string {
  return cell ? cell.toBoc().toString('base64') : ''
}
