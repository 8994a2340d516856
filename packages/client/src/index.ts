/**
 * The typed SDK of PinGo: submit a job to a fog node, watch it, fetch the trained model.
 *
 * ```ts
 * import { connect } from '@pingo/client'
 *
 * const pingo = await connect() // the fog node on this machine, or PINGO_FOG / { url, token }
 * const job = await pingo.submit('job.yaml')
 * for await (const event of pingo.follow(job.id))
 *   if (event.type === 'round') console.log(event.round.round, event.round.loss)
 * const { model, modelCard } = await pingo.fetch(job.id, './result')
 * console.log(model, modelCard.test?.metric)
 * ```
 * @module
 */

export { type CallOptions, Client, connect, type JobQuote, type SubmitOptions } from './client.ts'
export { CONNECTION_FILE, type ConnectOptions, type Endpoint, findEndpoint, isConnectionLive } from './connection.ts'
export type { FollowOptions } from './events.ts'
export { type Environment, homeFolder } from './home.ts'
export { jobFileJsonSchema } from './job-file/json-schema.ts'
export { parseBytes } from './job-file/quantities.ts'
export { parseJob, parseJobFile, readJobFile } from './job-file/read.ts'
export { type JobFile, JobFileSchema } from './job-file/schema.ts'
export type { DataSource, Job, ModelSource } from './job-file/settle.ts'
export type { Prediction } from './predict/scores.ts'
export type { ImportedDataset, ImportSettings } from './prepare/data.ts'
export { readModelBytes } from './prepare/model-file.ts'
export type { Progress } from './prepare/progress.ts'
export type { FetchedResult, FetchOptions } from './result.ts'
export { type Check, type Verification, verifyLedger } from './verify.ts'
