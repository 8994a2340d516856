import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { RuntimeName } from './protocol.ts'

export interface EngineInfo {
  runtime: RuntimeName
  /** The runtime's version, 'unknown' when its package is not found. */
  version: string
  /** Threads that a run uses unless told otherwise. */
  threads: number
  platform: string
  arch: string
  /** The native engine computes about four times as fast as WebAssembly. */
  native: boolean
}

/** What a new engine on this machine would run with `runtime: 'auto'`, found without loading it. */
export function engineInfo(): EngineInfo {
  const { platform, arch } = process
  const folder = packageFolder('onnxruntime-node')
  const native = !!folder && existsSync(join(folder, `bin/napi-v6/${platform}/${arch}/onnxruntime_binding.node`))
  const runtime = native ? 'onnxruntime-node' : 'onnxruntime-web'
  return { runtime, version: packageVersion(runtime), threads: 1, platform, arch, native }
}

/** The version of an installed package, read from its package.json. */
export function packageVersion(name: string): string {
  const folder = packageFolder(name)
  if (!folder) return 'unknown'
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown }
  return typeof version === 'string' ? version : 'unknown'
}

function packageFolder(name: string): string | undefined {
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? []
  const file = paths.map((path) => join(path, name, 'package.json')).find((path) => existsSync(path))
  return file && dirname(file)
}
