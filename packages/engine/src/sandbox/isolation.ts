import type { IsolationView } from '@pingo/wire'
import type { EngineOptions, Isolation } from '../options.ts'
import type { RuntimeName } from '../protocol.ts'
import type { Sandbox } from './sandbox.ts'

type RuntimeChoice = NonNullable<EngineOptions['runtime']>

/** Which runtime an isolation asks for, within what the system gives. */
export const runtimeWithin = (isolation: Isolation, { tier }: Sandbox, runtime: RuntimeChoice): RuntimeChoice =>
  isolation === 'wasm' || (isolation === 'auto' && tier === 'process') ? 'wasm' : runtime

/** What is active, for people. */
export const isolationView = ({ tier, sentence }: Sandbox, runtime: RuntimeName): IsolationView =>
  runtime === 'onnxruntime-web'
    ? { tier: 'wasm', sentence: `Graphs run as WebAssembly. ${sentence}` }
    : { tier, sentence }
