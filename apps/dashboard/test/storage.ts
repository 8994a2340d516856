import type { StorageObjectView, StoragePeerView, StorageView } from '@pingo/wire'
import { address, peer } from './recording.ts'

const GIB = 2 ** 30
const gib = (n: number) => Math.round(n * GIB)
const DAY_MS = 24 * 3_600_000
const ID = '12D3KooWQnwEGNqcM2nAcPtRR9rAX8Hrg4k9kJLCHoTR5chJfz6d'

const NOTHING = {
  reads: { memory: 0, disk: 0, remote: 0, missing: 0 },
  audits: { passed: 0, failed: 0, unanswered: 0 },
  repairs: { rebuilt: 0, moved: 0, bytesRead: 0, bytesWritten: 0, failed: 0, lost: 0 },
  scrub: { rounds: 0, damaged: 0 },
}

/** A fog node that nobody joined and that keeps nothing. */
export const emptyStorage = (): StorageView => ({
  node: {
    id: ID,
    region: '',
    domain: ID,
    state: 'active',
    price: 0,
    capacityBytes: 120 * GIB,
    usedBytes: 0,
    blocks: 0,
    leasedBytes: 0,
  },
  ...NOTHING,
  cache: { blocks: 0, bytes: 0, maxBytes: 12 * GIB },
  care: { objects: 0, due: 0, stripesByMissing: {}, repairsQueued: 0 },
  names: 0,
  peers: [],
  objects: [],
})

/** A node of a network of eighteen, after so many polls: two peers are slow or silent, one lost data. */
export function storageAfter(polls: number, now: number, isLeaving: boolean): StorageView {
  const peers = Array.from({ length: 17 }, (_, n) => peerView(n, now))
  const objects = Array.from({ length: 23 }, (_, n) => objectView(n, now))
  const remote = 300 + 7 * polls
  return {
    node: {
      id: ID,
      region: 'eu-de',
      domain: '203.0.113',
      state: isLeaving ? 'leaving' : 'active',
      price: 0,
      capacityBytes: 120 * GIB,
      usedBytes: gib(61.4),
      blocks: 63_310,
      leasedBytes: gib(52.1),
    },
    ...(isLeaving ? { leaving: { objects: 31, shards: 812, inCare: 9, isDone: false, askedAt: now - 4_000 } } : {}),
    reads: {
      memory: 90_000 + Math.round(120 * polls * (1.3 + Math.sin(polls))),
      disk: 9_100 + 11 * polls,
      remote,
      missing: 12,
    },
    cache: { blocks: 8_812, bytes: gib(8.4), maxBytes: 12 * GIB },
    care: {
      objects: 241,
      due: 3,
      stripesByMissing: { 0: 1_904, 1: 212, 2: 31, 3: 4 },
      repairsQueued: 4,
    },
    audits: { passed: 4_112, failed: 1, unanswered: 6 },
    repairs: { rebuilt: 96, moved: 18, bytesRead: gib(1.02), bytesWritten: gib(0.11), failed: 2, lost: 0 },
    scrub: { rounds: 3, damaged: 1 },
    names: 42,
    provided: 241,
    peers,
    objects,
  }
}

function peerView(n: number, now: number): StoragePeerView {
  const id = peer(`fog ${n}`)
  const standing = n === 3 ? 'ejected' : n === 7 ? 'contained' : n > 12 ? 'new' : 'vetted'
  return {
    id,
    url: n % 3 === 0 ? `https://fog-${n}.example.org:7070` : `https://198.51.${n}.7:7070`,
    region: ['eu-de', 'eu-fi', 'us-east', ''][n % 4]!,
    domain: n % 5 === 0 ? id : `198.51.${n}`,
    state: n === 5 ? 'leaving' : 'active',
    isLive: n !== 11,
    ...(n === 11 ? {} : { rttMs: 0.8 + 7.3 * n }),
    standing,
    score: n === 3 ? 0.912 : standing === 'new' ? 0.976 : 0.9981,
    audits: standing === 'new' ? 4 * n : 400 + n,
    capacityBytes: 500 * GIB,
    freeBytes: (420 - 23 * n) * GIB,
    seenAt: now - (n === 11 ? 1_300_000 : 2_000 + 400 * n),
  }
}

function objectView(n: number, now: number): StorageObjectView {
  const id = address(`object ${n}`)
  return {
    id: `${id.slice(0, 7)}…${id.slice(-6)}`,
    isPublic: n % 3 === 0,
    bytes: n % 4 === 0 ? 40_000 : n * 83_000_000 + 5_000_000,
    stripes: n % 4 === 0 ? 1 : n * 8 + 1,
    code: n % 4 === 0 ? { k: 1, m: 6 } : { k: 10, m: 6 },
    stripesByMissing: n === 22 ? {} : n < 3 ? { 0: 7, [3 - n]: 2 } : { 0: n * 8 + 1 },
    ...(n === 22 ? {} : { checkedAt: now - n * 3_000_000 }),
    dueAt: n === 22 ? now : now + DAY_MS - n * 3_000_000,
  }
}
