/**
 * A deterministic simulator: the real scheduler, rounds, codec and merge, below a shell, a disk, a network and contributors made
 * of virtual time and one seed. Everything that can go wrong does: messages are lost, doubled, late and out of order;
 * contributors leave, die, freeze, forge; the fog node is killed at any moment and loses what was not flushed. An oracle with
 * books of its own watches each step. A failing seed is a test case; planted bugs show that it would be found.
 *
 * ```ts
 * const result = simulate({ ...fullSize(17), log: true })
 * if (result.violation) console.log(result.violation, result.log)
 * ```
 * @module
 */
export { MUTANTS, type Mutant } from './mutants.ts'
export { FAULTS, type Faults, fullSize, type SimulationOptions, smallSize } from './options.ts'
export { type Hunt, hunt, inParallel, runInChild, type SeedRun } from './processes.ts'
export { type SimulationResult, simulate } from './world.ts'
