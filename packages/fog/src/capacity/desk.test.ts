import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '@pingo/engine'
import { challengeGraph, challengeLink, challengeStart, runIn } from '@pingo/engine/challenge'
import type { ContributorMessage, Credit, FogMessage } from '@pingo/wire'
import { pino } from 'pino'
import { addressBlock, CapacityDesk } from './desk.ts'

type Challenge = Extract<FogMessage, { type: 'challenge' }>

test('address blocks: one for all addresses of this machine, /24 and /56 of others, from multiaddrs and plain addresses', () => {
  assert.equal(addressBlock('/ip4/127.0.0.1/tcp/4001'), 'this machine')
  assert.equal(addressBlock('::ffff:127.0.0.1'), 'this machine')
  assert.equal(addressBlock('::1'), addressBlock('/ip6/::1/tcp/1'))
  assert.equal(addressBlock('/ip4/203.0.113.7/tcp/9'), addressBlock('203.0.113.250'))
  assert.notEqual(addressBlock('/ip4/203.0.113.7/tcp/9'), addressBlock('/ip4/203.0.114.7/tcp/9'))
  assert.equal(addressBlock('/ip6/2001:db8:1:2::1/tcp/9'), addressBlock('2001:db8:1:2:ffff::'))
})

/** A contributor that does the work in an engine, and tells what `lie` makes of its answers. */
async function session(lie: (answers: Uint8Array) => Uint8Array): Promise<Credit> {
  await using engine = await Engine.start()
  const graphs = new Map(
    await Promise.all([4, 16].map(async (n) => [n, runIn(await engine.open(challengeGraph(n)))] as const)),
  )
  const last = Promise.withResolvers<Credit>()
  const desk = new CapacityDesk({
    send: (_, message) => {
      if (message.type === 'challenge') void answer(message)
    },
    credited: (_, credit) => {
      credits.push(credit)
      if (credit.flag === 'wrong-answer') last.resolve(credit)
    },
    logger: pino({ level: 'silent' }),
  })
  const credits: Credit[] = []
  const nobody = { joined() {}, heartbeat() {}, offered() {}, released() {}, left() {} }
  const events = desk.beside(nobody)
  const tell = (message: object) =>
    events.answered('a', { type: 'answer', slice: 0, ...message } as Extract<ContributorMessage, { type: 'answer' }>)
  async function answer({ id, step, seed, products, links, ms }: Challenge): Promise<void> {
    if (step !== 'work') return tell({ challenge: id, state: step === 'prepare' ? 'ready' : 'done' })
    const answers: Uint8Array[] = []
    let before = await challengeStart(seed, 'a', 0)
    for (const start = performance.now(); answers.length < links && performance.now() - start < ms; )
      answers.push((before = await challengeLink(before, graphs.get(products[0]!)!)))
    tell({ challenge: id, state: 'done', answers: lie(Buffer.concat(answers)) })
  }
  const offer = { cores: 1, memoryBytes: 0, diskBytes: 0 }
  const hardware = { platform: 'x', cpu: 'x', cores: 1, memoryBytes: 0, runtime: 'x' }
  events.joined(
    'a',
    { type: 'hello', version: '1', name: 'a', offer, hardware, flops: 0, leases: [] },
    '/ip4/203.0.113.7/tcp/9',
  )
  try {
    for (const end = Date.now() + 60_000; credits.length === 0 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 20))
    // all answers were looked at when those after them are
    return await Promise.race([last.promise, desk.checked().then(() => credits.at(-1)!)])
  } finally {
    await desk.close()
  }
}

test('who does the work is credited; its answers are computed anew and are right', { timeout: 120_000 }, async () => {
  const credit = await session((answers) => answers)
  assert.equal(credit.flag, undefined)
  assert.ok(credit.flops > 1e8, `${credit.flops} FLOP/s`)
  assert.equal(credit.challenges, 1)
})

test('who invents answers is found by those computed anew, and credited nothing', { timeout: 120_000 }, async () => {
  const credit = await session((answers) => answers.map((byte) => byte ^ 1))
  assert.equal(credit.flag, 'wrong-answer')
  assert.equal(credit.flops, 0)
})
