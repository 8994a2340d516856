import type { FileStore } from '@pingo/storage'
import { mergeRound } from '@pingo/training'
import { arrayView, type FileRef, maxUpdateBytes, parseCid, UPDATE_TYPE, UpdateSchema, unseal } from '@pingo/wire'
import { decodeBase, decodeMomentum, encodeBase, encodeMomentum } from './base.ts'
import { buffersOf, type Job, parametersOf } from './jobs.ts'

/** What a merge leaves: durable files, not yet named by the job's row. */
export interface Merged {
  base: FileRef
  momentum: FileRef
}

/**
 * Merges the updates of a round into the next base: the signed envelopes are read back from the store, so that what is merged
 * is what anybody can audit. The arithmetic is training's {@link mergeRound}, equal to the bit on every CPU.
 */
export async function mergeJobRound(
  files: FileStore,
  job: Job,
  base: FileRef,
  included: readonly { contributor: string; lease: string; update: string; samples: number }[],
): Promise<Merged> {
  const { program, row } = job
  const parameters = parametersOf(program)
  const maxBytes = maxUpdateBytes(parameters, buffersOf(program))
  const { theta, buffers } = decodeBase(await files.readAll(base.cid))
  const momentum = row.momentum ? decodeMomentum(await files.readAll(row.momentum.cid)) : new Float32Array(parameters)
  const updates = await Promise.all(
    included.map(async ({ lease, update, samples }) => {
      const { value } = await unseal(
        UpdateSchema,
        UPDATE_TYPE,
        await files.readAll(parseCid(update).toString()),
        maxBytes,
      )
      return {
        id: lease,
        weight: samples,
        delta: value.delta,
        buffers: arrayView('float32', value.buffers) as Float32Array,
      }
    }),
  )
  const next = mergeRound({ theta, momentum, buffers, updates, outer: row.submission.outer })
  const [nextBase, nextMomentum] = await Promise.all([
    files.put(encodeBase(next)),
    files.put(encodeMomentum(next.momentum)),
  ])
  return { base: nextBase, momentum: nextMomentum }
}
