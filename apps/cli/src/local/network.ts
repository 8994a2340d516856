import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { validate } from '@pingo/wire'
import { z } from 'zod'
import { type Child, startChild } from './child.ts'

const FogReadySchema = z.object({ url: z.string(), token: z.string(), multiaddrs: z.array(z.string()).min(1) })

/** A fog node, others of its storage network and some contributors on this machine, each a process with a home of its own. */
export interface LocalNetwork {
  url: string
  token: string
  multiaddrs: string[]
  fog: Child
  /** Fog nodes beside the first: together they keep data. */
  others: Child[]
  contributors: Child[]
  /** Settles with a sentence when the fog node ended by itself. */
  broken: Promise<string>
  stop(): Promise<void>
}

/** Starts a fog node, then the others and its contributors; when one of them fails, all end. */
export async function startNetwork(o: {
  home: string
  /** Where clients on this machine find the fog node. */
  connectionHome: string
  contributors: number
  /** 1 by default. */
  fogNodes?: number
  port?: number
  signal: AbortSignal
  onLost(what: string): void
}): Promise<LocalNetwork> {
  await mkdir(o.home, { recursive: true, mode: 0o700 })
  const children: Child[] = []
  const logOf = (name: string) => join(o.home, `${name}.log`)
  let stopping = false
  const stop = async () => {
    stopping = true
    const [fog, ...rest] = children
    await Promise.all(rest.map((child) => child.stop())) // contributors hand in what they have …
    await fog?.stop() // … while the fog node still listens
  }
  const start = async (name: string, args: string[]): Promise<Child> => {
    const child = await startChild([...args, '--home', join(o.home, name), '--verbose'], {
      log: logOf(name),
      signal: o.signal,
    })
    children.push(child)
    return child
  }
  const startBeside = async (name: string, args: string[]): Promise<Child> => {
    const child = await start(name, args)
    void child.ended.then((why) => {
      if (why && !stopping) o.onLost(`${name} ended (${why}); its log is ${logOf(name)}`)
    })
    return child
  }
  const fogArgs = (n: number, port: number) => {
    const connectionHome = n === 1 ? o.connectionHome : join(o.home, `fog-${n}`)
    return ['fog', '--connection-home', connectionHome, '--port', String(port), '--p2p-port', '0']
  }
  try {
    const fog = await start('fog', fogArgs(1, o.port ?? 0))
    const { url, token, multiaddrs } = validate(FogReadySchema, fog.ready, 'readiness line')
    const others = numbered((o.fogNodes ?? 1) - 1, 2).map((n) =>
      startBeside(`fog-${n}`, [...fogArgs(n, 0), '--peer', url]),
    )
    const contributors = numbered(o.contributors, 1).map((n) => {
      const name = `contributor-${n}`
      return startBeside(name, ['contribute', '--name', name, '--cores', '1', '--always', '--fog', multiaddrs[0]!])
    })
    const started = await Promise.allSettled([...others, ...contributors])
    const failed = started.find((each) => each.status === 'rejected')
    if (failed) throw failed.reason
    const broken = fog.ended.then(
      (why) =>
        new Promise<string>(
          (resolve) => why && !stopping && resolve(`The fog node ended (${why}); its log is ${logOf('fog')}.`),
        ),
    )
    return {
      url,
      token,
      multiaddrs,
      fog,
      others: await Promise.all(others),
      contributors: await Promise.all(contributors),
      broken,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

const numbered = (count: number, from: number): number[] => Array.from({ length: count }, (_, n) => from + n)
