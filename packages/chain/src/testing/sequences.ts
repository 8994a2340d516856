import type { Blockchain } from '@ton/sandbox'
import fc from 'fast-check'

/** Random sequences of messages against a contract on the real TVM, checked after each message. */
export interface Sequences<World extends { chain: Blockchain }, Action> {
  /** Made once; every sequence begins from this state of the chain. */
  world(): Promise<World>
  /** One thing that somebody does. */
  action: fc.Arbitrary<Action>
  /** Runs one sequence: the frame has put the chain back. */
  run(world: World, actions: readonly Action[]): Promise<void>
  /** Actions of a sequence at most. */
  length?: number
}

const FEW = 30
const DEFAULT_LENGTH = 12

/**
 * Runs random sequences: `PINGO_SEQUENCES` of them (30 when it is not set), from the seed `PINGO_SEED`. A failure is shrunk to the
 * shortest sequence that still fails (not with `PINGO_SHRINK=0`), and names its seed.
 *
 * @returns the number of sequences.
 */
export async function checkSequences<W extends { chain: Blockchain }, A>(sequences: Sequences<W, A>): Promise<number> {
  const numRuns = Number(process.env.PINGO_SEQUENCES ?? FEW)
  const seed = Number(process.env.PINGO_SEED ?? 20_260_101)
  const world = await sequences.world()
  const start = world.chain.snapshot()
  await fc.assert(
    fc.asyncProperty(
      fc.array(sequences.action, { minLength: 1, maxLength: sequences.length ?? DEFAULT_LENGTH }),
      async (actions) => {
        await world.chain.loadFrom(start)
        await sequences.run(world, actions)
      },
    ),
    { numRuns, seed, endOnFailure: process.env.PINGO_SHRINK === '0' },
  )
  return numRuns
}
