/**
 * Contributing in a browser: the page's side. All work is done in workers, so that the page stays smooth.
 *
 * ```ts
 * const contributor = contribute({ name: 'my phone', allowance: { share: 0.5 }, onView: show, onEnd: say })
 * contributor.allow({ share: 0.5, pause: { reason: 'battery', sentence: 'The device runs on its battery.' } })
 * await contributor.leave() // hands in what is done
 * ```
 * @module
 */
import type { Allowance, BrowserView, FromContributor, ToContributor } from './view.ts'

export { decide, type OwnerWishes, type Signs } from './decide.ts'
export type { Allowance, BrowserView } from './view.ts'

const GIB = 2 ** 30
/** A quarter of what the browser says the device has, 1 GiB at most: a phone's browser is ended by its system when it takes much. */
const MEMORY_SHARE = 0.25
const MOST_MEMORY_BYTES = GIB
/** Where the browser does not say. */
const USUAL_DEVICE_GIB = 2

export interface WebContributor {
  allow(allowance: Allowance): void
  /** Resolves when what is done was handed in and the workers are gone. */
  leave(): Promise<void>
}

/** Starts contributing to the fog node that served the page. */
export function contribute(o: {
  name: string
  allowance: Allowance
  onView: (view: BrowserView) => void
  /** It ended by itself: a sentence. */
  onEnd: (why: string) => void
}): WebContributor {
  if (!isSecureContext) {
    // no signatures, no checked hashes: browsers give WebCrypto to pages that came safely alone
    queueMicrotask(() => o.onEnd('Browsers compute safely only on pages that came by https://. Open it so.'))
    return { allow: () => undefined, leave: async () => undefined }
  }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'pingo-contributor' })
  const left = Promise.withResolvers<void>()
  const end = () => {
    worker.terminate()
    left.resolve()
  }
  worker.onmessage = ({ data }: MessageEvent<FromContributor>) => {
    if (data.type === 'view') o.onView(data.view)
    else {
      end()
      if (data.type === 'failed') o.onEnd(data.why)
    }
  }
  worker.onerror = (event) => {
    end()
    o.onEnd(event.message || 'The worker that contributes cannot be started in this browser.')
  }
  const send = (message: ToContributor) => worker.postMessage(message)
  send({
    type: 'start',
    origin: location.origin,
    name: o.name,
    memoryBytes: memoryToLend(),
    cores: navigator.hardwareConcurrency || 1,
    browser: browserName(navigator.userAgent),
    allowance: o.allowance,
  })
  return {
    allow: (allowance) => send({ type: 'allow', allowance }),
    leave: () => {
      send({ type: 'leave' })
      return left.promise
    },
  }
}

function memoryToLend(): number {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number }
  return Math.floor(Math.min(MOST_MEMORY_BYTES, MEMORY_SHARE * (deviceMemory ?? USUAL_DEVICE_GIB) * GIB))
}

/** 'Firefox on Android': what the list of contributors shows beside the name that its owner gave. */
export function browserName(userAgent: string): string {
  const browser = /Edg\//.test(userAgent)
    ? 'Edge'
    : /Firefox\//.test(userAgent)
      ? 'Firefox'
      : /Chrom(e|ium)\//.test(userAgent)
        ? 'Chrome'
        : /Safari\//.test(userAgent)
          ? 'Safari'
          : 'Browser'
  const system = /Android/.test(userAgent)
    ? 'Android'
    : /iPhone|iPad/.test(userAgent)
      ? 'iOS'
      : /Windows/.test(userAgent)
        ? 'Windows'
        : /Mac OS X/.test(userAgent)
          ? 'macOS'
          : /Linux/.test(userAgent)
            ? 'Linux'
            : ''
  return system ? `${browser} on ${system}` : browser
}
