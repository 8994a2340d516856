import type { Credit, FogMessage } from '@pingo/wire'

/** Times of this folder are ms of the fog node's own monotonic clock, with fractions; speeds are FLOP/s. */

export type Challenge = Extract<FogMessage, { type: 'challenge' }>

/** What a contributor says that it has. */
export interface Claim {
  /** Cores of each slice. */
  slices: number[]
  /** FLOP/s of all slices at once. */
  flops: number
}

/** What a contributor showed in one session of challenges. */
export interface Shown {
  /** FLOP/s of all its slices at once. */
  flops: number
  /** Of one slice, while the others of this contributor rested. */
  solo: number
  /** In short rounds, the best; infinite when there were none. */
  short: number
  /** What it claimed then. */
  claim: number
}

export interface Peer {
  id: string
  cluster: string
  claim: Claim
  paused: boolean
  /** The last ones, the newest at the end. */
  shown: Shown[]
  challenges: number
  /** Sessions in a row that showed much less than claimed. */
  below: number
  /** Of the last sessions, whether short rounds took much longer than long ones explain. */
  distant: boolean[]
  /** Sessions in a row in which it showed nothing; half a one where it answered that it pauses. */
  silent: number
  /** Wrong answers were found; sessions that must be right until that is forgotten. */
  distrust: number
  /** It has joined or come back from a pause, and was not challenged since. */
  fresh: boolean
  credit: Credit | undefined
}

/** Peers that stand in one address block: challenged at the same moment. */
export interface Cluster {
  /** FLOP/s that its peers showed together, in the last sessions. */
  totals: number[]
  /** When it is to be challenged next, and not before when those who were challenged before. */
  nextAt: number
  restUntil: number
  session: Session | undefined
}

export type Stage = 'prepare' | 'echo' | 'solo' | 'long' | 'short'

export interface Session {
  number: number
  stage: Stage
  /** Whether those who were challenged lately take part too. */
  withAll: boolean
  /** Messages of this session so far: the end of a challenge's id. */
  turn: number
  round: number
  startedAt: number
  deadline: number
  members: Map<string, Member>
}

/** A peer in a session. */
export interface Member {
  slices: number[]
  products: number[]
  /** Of the stage under way: what was asked, when, and which slices have not answered. */
  asked: Challenge | undefined
  sentAt: number
  waiting: Set<number>
  /** Links done and time of the last answer, of the stage under way. */
  links: number
  lastAt: number
  echoes: number[]
  solo: number
  /** FLOP/s in the long stage; the work and its answers, ms from its start. */
  long: number
  longWork: number
  longAt: { at: number; work: number }[]
  /** Of short rounds: FLOP/s, and time beyond what the long stage lets expect, ms. */
  short: number[]
  detours: number[]
  claim: number
  /** It answered that it pauses. */
  paused: boolean
}

export type CapacityEvent = { at: number } & (
  | { type: 'joined'; peer: string; cluster: string; claim: Claim }
  | { type: 'left'; peer: string }
  | { type: 'state'; peer: string; paused: boolean }
  | {
      type: 'answer'
      peer: string
      challenge: string
      slice: number
      state: 'ready' | 'done' | 'paused' | 'failed'
      flops?: number
      /** Answers that came, whole links. */
      links: number
    }
  /** Some of its answers were computed anew. */
  | { type: 'checked'; peer: string; valid: boolean }
  | { type: 'tick' }
)

export type CapacityCommand =
  | { type: 'send'; peer: string; challenge: Challenge }
  /** A session is over for this peer. */
  | { type: 'credited'; peer: string; shown: number; credit: Credit }
  /** Its credit changed without a session of its own. */
  | { type: 'changed'; peer: string; credit: Credit }
