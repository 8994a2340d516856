import type { JobView } from '@pingo/wire'
import { withStore } from './commands/store/with-store.ts'
import type { ClientOptions } from './context.ts'

/** Where published models are kept. */
const MODELS_BUCKET = 'models'

export interface PublishFlags extends ClientOptions {
  publish?: string
  public?: boolean
}

/** Stores a trained model and points the owner's name to it: its newest version. Those before stay, by their number. */
export async function publishModel(model: string, job: JobView, flags: PublishFlags, signal: AbortSignal) {
  const label = flags.publish!
  return await withStore(flags, { changes: true, signal }, async (store) => {
    const name = `${label}/${job.id}.onnx`
    await store.put(model, { bucket: MODELS_BUCKET, name, isPublic: flags.public, signal })
    return await store.publish(label, `${MODELS_BUCKET}/${name}`, { signal })
  })
}
