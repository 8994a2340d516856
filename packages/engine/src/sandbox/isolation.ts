import type { IsolationView } from '@pingo/wire'
import type { EngineOptions, Isolation } from '../options.ts'
import type { RuntimeName } from '../protocol.ts'
import type { Sandbox } from './sandbox.ts'

type RuntimeChoice = NonNullable<EngineOptions['runtime']>

/** Which runtime an isolation asks for, within what the system gives. */
export const runtimeWithin = (isolation: Isolation, { tier }: Sandbox, runtime: RuntimeChoice): RuntimeChoice =>
  isolation === 'wasm' || (isolation === 'auto' && tier === 'process') ? 'wasm' : runtime

/** What is active, for people. */
export function isolationView(walls: Sandbox, runtime: RuntimeName, limits: readonly string[]): IsolationView {
  const group = limits.length > 0 ? ` A control group of its own: ${limits.join(', ')}.` : ''
  return runtime === 'onnxruntime-web'
    ? { tier: 'wasm', sentence: `Graphs run as WebAssembly. ${walls.sentence}${group}` }
    : { tier: walls.tier, sentence: `${walls.sentence}${group}` }
}
