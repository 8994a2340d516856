import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { validate } from '@pingo/wire'
import { z } from 'zod'
import { type Child, startChild } from './child.ts'

const FogReadySchema = z.object({ url: z.string(), token: z.string(), multiaddrs: z.array(z.string()).min(1) })

/** One fog node and some contributors on this machine, each a process with a home of its own. */
export interface LocalNetwork {
  url: string
  token: string
  multiaddrs: string[]
  fog: Child
  contributors: Child[]
  /** Settles with a sentence when the fog node ended by itself. */
  broken: Promise<string>
  stop(): Promise<void>
}

/** Starts a fog node, then its contributors; when one of them fails, all end. */
export async function startNetwork(o: {
  home: string
  /** Where clients on this machine find the fog node. */
  connectionHome: string
  contributors: number
  port?: number
  signal: AbortSignal
  onLost(what: string): void
}): Promise<LocalNetwork> {
  await mkdir(o.home, { recursive: true, mode: 0o700 })
  const children: Child[] = []
  let stopping = false
  const stop = async () => {
    stopping = true
    const [fog, ...contributors] = children
    await Promise.all(contributors.map((child) => child.stop())) // they hand in what they have …
    await fog?.stop() // … while the fog node still listens
  }
  try {
    const fog = await startChild(
      [
        'fog',
        '--home',
        join(o.home, 'fog'),
        '--connection-home',
        o.connectionHome,
        '--port',
        String(o.port ?? 0),
        '--p2p-port',
        '0',
        '--verbose',
      ],
      { log: join(o.home, 'fog.log'), signal: o.signal },
    )
    children.push(fog)
    const { url, token, multiaddrs } = validate(FogReadySchema, fog.ready, 'readiness line')
    const started = await Promise.allSettled(
      Array.from({ length: o.contributors }, async (_, index) => {
        const name = `contributor-${index + 1}`
        const child = await startChild(
          ['contribute', '--home', join(o.home, name), '--name', name, '--fog', multiaddrs[0]!, '--verbose'],
          { log: join(o.home, `${name}.log`), signal: o.signal },
        )
        children.push(child)
        void child.ended.then((why) => {
          if (why && !stopping) o.onLost(`${name} ended (${why}); its log is ${join(o.home, `${name}.log`)}`)
        })
        return child
      }),
    )
    const failed = started.find((each) => each.status === 'rejected')
    if (failed) throw failed.reason
    const broken = fog.ended.then(
      (why) =>
        new Promise<string>(
          (resolve) =>
            why && !stopping && resolve(`The fog node ended (${why}); its log is ${join(o.home, 'fog.log')}.`),
        ),
    )
    return { url, token, multiaddrs, fog, contributors: children.slice(1), broken, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
