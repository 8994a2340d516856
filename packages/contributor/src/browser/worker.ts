/** The worker that contributes: it holds the connection and the leases, and starts the engine in a worker of its own. The page only looks and allows. */
import { BrowserEngine } from '@pingo/engine/browser'
import { sentence } from '@pingo/wire'
import { BrowserContributor } from './contributor.ts'
import { openBrowserIdentity } from './identity.ts'
import type { FromContributor, ToContributor } from './view.ts'

/** A worker's global scope, of which TypeScript's types for pages know nothing. */
const scope = globalThis as unknown as {
  postMessage(message: FromContributor): void
  onmessage: ((event: MessageEvent<ToContributor>) => void) | null
  close(): void
}

let contributor: Promise<BrowserContributor> | undefined

scope.onmessage = ({ data }) => {
  void receive(data).catch((error: unknown) => scope.postMessage({ type: 'failed', why: sentence(error) }))
}

async function receive(message: ToContributor): Promise<void> {
  if (message.type === 'start') {
    const { type: _, ...options } = message
    contributor ??= openBrowserIdentity().then(
      (identity) =>
        new BrowserContributor({
          ...options,
          identity,
          startEngine: (maxMemoryBytes) => BrowserEngine.start({ threads: 1, maxMemoryBytes }),
          onChange: (view) => scope.postMessage({ type: 'view', view }),
        }),
    )
    await contributor
  } else if (message.type === 'allow') (await contributor)?.allow(message.allowance)
  else {
    await (await contributor)?.leave()
    scope.postMessage({ type: 'left' })
    scope.close()
  }
}
