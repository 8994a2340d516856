import { PinGoError } from '@pingo/wire'
import { Address, Cell, loadTransaction, type Message, type Transaction, type TupleItem, TupleReader } from '@ton/core'
import { z } from 'zod'
import { readMessage } from '../message.ts'
import { normalisedHash } from '../open.ts'
import type { AccountState, CallOptions, ChainEndpoint, Trace } from '../port.ts'
import { callAny, callServer, type RemoteServer } from './rpc.ts'
import { readStack, writeStack } from './stack.ts'

/** How long `waitFor` waits, and how often it asks. */
const WAIT_MS = 120_000
const POLL_MS = 1000
/** Transactions that are looked through for a message, and that a trace may have. */
const LOOK_BACK = 40
const MAX_TRACE = 200
const ANY_ACCOUNT = new Address(0, Buffer.alloc(32)).toString()

const Base64 = z.string().max(4 * 1024 * 1024)
const TransactionId = z.object({ lt: z.string().regex(/^\d{1,20}$/), hash: z.string().max(64) })
const AddressInformation = z.object({
  balance: z.union([z.string().regex(/^\d{1,40}$/), z.number().int().nonnegative()]),
  state: z.enum(['active', 'uninitialized', 'frozen']),
  code: Base64,
  data: Base64,
  last_transaction_id: TransactionId,
  sync_utime: z.number().int().optional(),
})
const Transactions = z.array(z.object({ data: Base64 })).max(101)
const GetMethod = z.object({ exit_code: z.number().int(), stack: z.array(z.unknown()).max(1024) })
const Sent = z.union([z.object({ hash: z.string().max(64).optional() }), z.object({ '@type': z.literal('ok') })])
const Config = z.object({ config: z.object({ bytes: Base64 }) })

/**
 * A TON network over HTTP: servers that speak toncenter's JSON-RPC, version 2 (toncenter.com, one's own, or a local chain).
 *
 * What is believed: each answer is read by a schema and bounded. With two servers or more, an account's state is taken only when two
 * of them agree on it. A message is signed here and can't be changed on the way; that it was executed is the servers' word, checked
 * for the message's own hash. Proofs of state (liteservers) are not read.
 *
 * @param servers - the first is asked first; at least one.
 */
export function remoteEndpoint(
  network: number,
  servers: readonly RemoteServer[],
  options: { requestMs?: number; pollMs?: number } = {},
): ChainEndpoint {
  if (servers.length === 0)
    throw new PinGoError('CHAIN_SERVER', 'no server is known for this network', { hint: 'Give one: --server URL.' })
  const ask = <T>(method: string, params: unknown, schema: z.ZodType<T>, o: CallOptions = {}) =>
    callAny(servers, method, params, schema, { ...o, ...options })
  const transactions: ChainEndpoint['transactions'] = async (address, { limit, before, signal }) => {
    // the transaction `before` is itself in the answer
    const params = {
      address: address.toString(),
      limit: before ? limit + 1 : limit,
      ...(before && { lt: before.lt.toString(), hash: before.hash.toString('hex') }),
    }
    const found = await ask('getTransactions', params, Transactions, { ...(signal && { signal }) })
    const read = found.map(({ data }) => readTransaction(data))
    return (before ? read.filter(({ lt }) => lt < before.lt) : read).slice(0, limit)
  }
  const endpoint: ChainEndpoint = {
    network,
    transactions,
    async send(boc, o) {
      const { message } = readMessage(boc)
      await ask('sendBocReturnHash', { boc: boc.toString('base64') }, Sent, o)
      return { hash: normalisedHash(message) }
    },
    async account(address, o) {
      const asked = { address: address.toString() }
      if (servers.length === 1) return readAccount(await ask('getAddressInformation', asked, AddressInformation, o))
      return await agreed(servers, asked, { ...o, ...options })
    },
    async runGetMethod(address, name, args: TupleItem[] = [], o) {
      const { exit_code, stack } = await ask(
        'runGetMethod',
        { address: address.toString(), method: name, stack: writeStack(args) },
        GetMethod,
        o,
      )
      if (exit_code > 1) throw new PinGoError('CHAIN_GET_METHOD', `${name} ended with exit code ${exit_code}`)
      return new TupleReader(readStack(stack))
    },
    waitFor: (hash, o) => waitForTrace(endpoint, sent, hash, { pollMs: options.pollMs ?? POLL_MS, ...o }),
    async now(o) {
      // the time of the newest block comes with any account's state
      const { sync_utime } = await ask('getAddressInformation', { address: ANY_ACCOUNT }, AddressInformation, o)
      return sync_utime ?? Math.floor(Date.now() / 1000)
    },
    async config(o) {
      const { config } = await ask('getConfigAll', {}, Config, o)
      return readCell(config.bytes)
    },
    async close() {},
  }
  // which account a hash belongs to: `waitFor` is asked for hashes that `send` gave
  const sent = new Map<string, Message>()
  const send = endpoint.send
  endpoint.send = async (boc, o) => {
    const result = await send(boc, o)
    sent.set(result.hash.toString('hex'), readMessage(boc).message)
    const [oldest] = sent.keys()
    if (sent.size > MAX_SENT && oldest !== undefined) sent.delete(oldest)
    return result
  }
  return endpoint
}

/** Messages that are remembered for `waitFor`. */
const MAX_SENT = 1000

/** An account's state by two servers that agree on its last transaction and on everything else. */
async function agreed(
  servers: readonly RemoteServer[],
  params: unknown,
  options: CallOptions & { requestMs?: number },
): Promise<AccountState> {
  const ROUNDS = 4
  let failure: unknown
  for (let round = 0; round < ROUNDS; round++) {
    const answers = await Promise.allSettled(
      servers.map((server) => callServer(server, 'getAddressInformation', params, AddressInformation, options)),
    )
    if (options.signal?.aborted) throw options.signal.reason
    const seen = new Set<string>()
    for (const answer of answers) {
      if (answer.status === 'rejected') {
        failure = answer.reason
        continue
      }
      const { balance, state, code, data, last_transaction_id } = answer.value
      const key = JSON.stringify([String(balance), state, code, data, last_transaction_id])
      if (seen.has(key)) return readAccount(answer.value)
      seen.add(key)
    }
    // one of them may be a block behind
    await new Promise((resolve) => setTimeout(resolve, 300 * 2 ** round))
  }
  throw new PinGoError('CHAIN_DISAGREE', 'no two servers agree on the state of this account', {
    hint: 'One of them lies, or is far behind; choose servers that you trust.',
    cause: failure,
  })
}

async function waitForTrace(
  endpoint: ChainEndpoint,
  sent: ReadonlyMap<string, Message>,
  hash: Buffer,
  { signal, deadlineMs = WAIT_MS, pollMs }: CallOptions & { deadlineMs?: number; pollMs: number },
): Promise<Trace> {
  const message = sent.get(hash.toString('hex'))
  if (!message) throw new PinGoError('CHAIN_MESSAGE', 'this message was not sent from here: its account is not known')
  const until = Date.now() + deadlineMs
  const options = signal ? { signal } : {}
  const transactions: Transaction[] = []
  const open: Message[] = [message]
  while (open.length > 0) {
    const next = open[0] as Message
    const found = await findTransaction(endpoint, next, options)
    if (found) {
      open.shift()
      transactions.push(found)
      open.push(...found.outMessages.values().filter(({ info }) => info.type === 'internal'))
      if (transactions.length + open.length > MAX_TRACE)
        throw new PinGoError('CHAIN_TRACE', `the message set off more than ${MAX_TRACE} transactions`)
      continue
    }
    if (Date.now() > until)
      throw new PinGoError('CHAIN_TIMEOUT', 'the message was not done in time; it may still be done later')
    await new Promise((resolve) => setTimeout(resolve, pollMs))
    signal?.throwIfAborted()
  }
  return { transactions }
}

async function findTransaction(
  endpoint: ChainEndpoint,
  message: Message,
  options: CallOptions,
): Promise<Transaction | undefined> {
  const { info } = message
  if (info.type === 'external-out') return undefined
  const wanted = info.type === 'external-in' ? normalisedHash(message) : undefined
  const recent = await endpoint.transactions(info.dest, { limit: LOOK_BACK, ...options })
  return recent.find(({ inMessage }) => {
    if (!inMessage) return false
    if (wanted) return inMessage.info.type === 'external-in' && normalisedHash(inMessage).equals(wanted)
    if (info.type !== 'internal' || inMessage.info.type !== 'internal') return false
    return inMessage.info.createdLt === info.createdLt && inMessage.info.src.equals(info.src)
  })
}

function readAccount({
  balance,
  state,
  code,
  data,
  last_transaction_id: last,
}: z.output<typeof AddressInformation>): AccountState {
  const active = state === 'active'
  return {
    balance: BigInt(balance),
    status: state === 'uninitialized' ? 'uninit' : state,
    code: active && code !== '' ? readCell(code) : null,
    data: active && data !== '' ? readCell(data) : null,
    last: last.lt === '0' ? null : { lt: BigInt(last.lt), hash: Buffer.from(last.hash, 'base64') },
  }
}

function readTransaction(data: string): Transaction {
  return loadTransaction(readCell(data).beginParse())
}

function readCell(base64: string): Cell {
  try {
    return Cell.fromBase64(base64)
  } catch (cause) {
    throw new PinGoError('CHAIN_ANSWER', 'the server gave a cell that can’t be read', { cause })
  }
}
