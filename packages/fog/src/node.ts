import { createHmac } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Host, registerNode } from '@pingo/network'
import { BlockStore, blockHandler, FileStore, isPrivateHost, makeCertificate, networkOf } from '@pingo/storage'
import {
  contributorChannel,
  type DatasetView,
  type FileRef,
  type FogMessage,
  loadIdentity,
  type NetworkView,
} from '@pingo/wire'
import { type Logger, pino } from 'pino'
import type { CapacityPace } from './capacity/core.ts'
import { CapacityDesk } from './capacity/desk.ts'
import { loadToken, writeConnection } from './connection-file.ts'
import { Contributors } from './contributors.ts'
import { Crew } from './crew.ts'
import { Database } from './database.ts'
import { Evaluator } from './evaluator.ts'
import { bears } from './gateway/bearer.ts'
import { updateHandler } from './gateway/data-plane.ts'
import { createMetrics } from './gateway/metrics.ts'
import { readPages } from './gateway/pages.ts'
import { createRoutes } from './gateway/routes.ts'
import { createGatewayServer, listen } from './gateway/server.ts'
import { SocketDoor } from './gateway/socket/door.ts'
import { Grants } from './grants.ts'
import { JobDesk } from './job-desk.ts'
import { type Job, Jobs } from './jobs.ts'
import { networkView } from './network-view.ts'
import { quote } from './quote.ts'
import { Scheduler } from './scheduler.ts'
import { capacityOf, FogStorage, MIN_FREE_BYTES, type StorageSettings } from './storage/fog-storage.ts'
import { datasetFiles } from './submit.ts'
import { UpdateDesk } from './updates.ts'
import { VERSION } from './version.ts'

const PROGRESS_MS = 500
const GC_MS = 10 * 60_000
/** Blocks that nobody pinned are kept so long: an upload may be under way. */
const UNPINNED_KEPT_MS = 6 * 3_600_000

export interface FogOptions {
  /** Folder of all state: identity, token, database, blocks. */
  home: string
  /** Address that gateway and control plane listen on; anything but loopback switches the gateway to HTTPS. */
  host?: string
  /** Port of the gateway; 0 takes a free one. */
  port?: number
  /** Port of the control plane (libp2p over TCP); 0 takes a free one. */
  p2pPort?: number
  /** Multiaddrs that contributors are told, when the machine is reached by others than it listens on. */
  announce?: string[]
  /** Folder of static pages to serve. */
  pages?: string
  /** Token that submitting needs; by default the one kept in `home`. */
  token?: string
  /** Where clients of the same owner look for a fog node of this machine; `home` by default. */
  connectionHome?: string
  /** Its part in the storage network. */
  storage?: StorageSettings
  /** How often contributors are challenged to show what they can do. */
  challenges?: CapacityPace
  logger?: Logger
}

/** Jobs of fewer rounds say little about speed: they were mostly start-up. */
const MEASURED_ROUNDS = 4

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host)

/** A fog node: gathers contributors, schedules jobs, runs their rounds and serves the gateway. All state is below `home`. */
export class FogNode {
  /** Where the gateway answers; for HTTPS with the certificate's fingerprint as fragment. */
  readonly url: string
  readonly token: string
  readonly peerId: string
  readonly multiaddrs: string[]
  /** Settles when the node has ended: by close(), or with the error that ended it. */
  readonly closed: Promise<void>
  readonly close: () => Promise<void>

  private constructor(o: Pick<FogNode, 'url' | 'token' | 'peerId' | 'multiaddrs' | 'closed' | 'close'>) {
    this.url = o.url
    this.token = o.token
    this.peerId = o.peerId
    this.multiaddrs = o.multiaddrs
    this.closed = o.closed
    this.close = o.close
  }

  /** @throws PinGoError PORT_IN_USE, LISTEN_FAILED, DATABASE_UNREADABLE, IDENTITY_UNREADABLE */
  static async start(o: FogOptions): Promise<FogNode> {
    const clock = Date.now
    const host = o.host ?? '127.0.0.1'
    const logger = o.logger ?? pino({ level: 'silent' })
    const stack = new AsyncDisposableStack()
    const ended = Promise.withResolvers<void>()
    ended.promise.catch(() => undefined)
    const stopping = new AbortController()
    try {
      await mkdir(o.home, { recursive: true, mode: 0o700 })
      // a contributor on this machine does not take it for one of its owner's programs
      stack.defer(registerNode())
      const identity = await loadIdentity(join(o.home, 'identity.key'))
      const token = o.token ?? (await loadToken(join(o.home, 'token')))
      const ticketOf = (lease: string) => createHmac('sha256', token).update(`lease ${lease}`).digest('base64url')
      const db = stack.adopt(new Database(join(o.home, 'fog.sqlite')), (open) => open.close())
      const settings = o.storage ?? {}
      const capacityBytes = settings.capacityBytes ?? (await capacityOf(o.home))
      const limits = { quotaBytes: capacityBytes, minFreeBytes: MIN_FREE_BYTES }
      const blocks = stack.adopt(await BlockStore.open(join(o.home, 'blocks'), limits), (open) => open.close())
      const storage = stack.adopt(
        await FogStorage.open({
          home: o.home,
          blocks,
          capacityBytes,
          identity,
          token,
          isPublic: !isPrivateHost(`http://${urlHost(host)}`),
          settings,
          clock,
          logger,
        }),
        (open) => open.close(),
      )
      const files = new FileStore(blocks)
      const jobs = new Jobs(db, clock)
      const grants = await Grants.open(join(o.home, 'grants'), identity, clock)
      const evaluator = stack.adopt(new Evaluator(files), (open) => open.close())
      const desk = stack.adopt(
        new JobDesk({ db, jobs, files, evaluator, grants, identity, clock, logger, signal: stopping.signal }),
        (open) => open.close(),
      )

      const crew = new Crew({ db, jobs, clock, logger, scheduler: () => scheduler })
      const capacity = stack.adopt(
        new CapacityDesk(
          {
            send: (id, message) => contributors.send(id, message),
            credited: (id, { flops }) => {
              const offer = contributors.offerOf(id)
              if (offer) crew.credited(id, offer, flops)
            },
            logger,
          },
          o.challenges,
        ),
        (open) => open.close(),
      )
      const contributors: Contributors = new Contributors(capacity.beside(crew), clock)
      const scheduler: Scheduler = new Scheduler({
        db,
        jobs,
        files,
        ports: {
          clock,
          send: (id, message) => contributors.send(id, message),
          disconnect: (id, reason) => contributors.disconnect(id, reason),
          nameOf: (id) => contributors.nameOf(id) ?? db.contributor(id)?.name ?? '',
          ticketOf,
          keyOf: ({ row, train }) => (train?.sealed ? grants.keyFor(row.id, row.submission.train.cid) : undefined),
          pinRound: (job, round, cids) => desk.pinRound(job, round, cids),
          committed: (job, round) => {
            crew.committed((job.lastRound?.shares ?? []).map(({ contributor }) => contributor))
            desk.committed(job, round)
          },
          finished: (job, outcome) => desk.finished(job, outcome),
          fatal: (error) => {
            logger.fatal({ error }, 'the fog node stops: it can no longer keep its state safe')
            ended.reject(error)
          },
        },
      })
      desk.scheduler = scheduler
      stack.defer(() => scheduler.close())

      const dht = !isLoopback(host) || (settings.peers ?? []).length > 0 || storage.hasPeers
      const p2p = stack.adopt(
        await Host.start({
          identity,
          listen: [tcpAddress(host, o.p2pPort ?? 0)],
          announce: o.announce,
          logger: undefined,
          dht,
        }),
        (open) => open.stop(),
      )
      stack.defer(() => contributors.close())

      const view = (): NetworkView =>
        networkView({
          p2p,
          identity,
          blocks,
          contributors,
          jobs,
          db,
          startedAt,
          crew,
          creditOf: (id) => capacity.creditOf(id),
          jobOf: scheduler.jobOfLease,
        })
      const startedAt = clock()
      const certificate = isLoopback(host) ? undefined : await makeCertificate(identity)
      const updates = updateHandler(
        new UpdateDesk({
          files,
          jobs,
          jobOfLease: scheduler.jobOfLease,
          submit: (received) => scheduler.submit(received),
        }),
        ticketOf,
      )
      const bulk = blockHandler(blocks, {
        authorize: (request) => bears(request.headers.authorization, token),
        source: storage.source,
        disk: storage.cache,
      })
      const door = new SocketDoor(identity.peerId, (channel) => void contributors.serve(channel, welcome))
      const gateway = createGatewayServer({
        certificate,
        door,
        data: (request, response) =>
          bulk(request, response) || storage.handle(request, response) || updates(request, response),
      })
      bulk.accelerate(gateway.server)
      storage.reads = () => bulk.reads
      const routes = createRoutes({
        ports: {
          jobs,
          db,
          network: view,
          submit: (submission) => desk.submit(submission),
          stop: (id) => desk.stop(jobs.get(id)),
          explain: (job) =>
            scheduler.explain(job.row.id) ?? { state: job.row.state, sentence: endedSentence(job), constraints: [] },
          ledger: (job) => desk.ledger(job),
          quote: (request) => quote(request, view(), measuredJobs(jobs), [...crew.flops.values()]),
          addDataset: (ref) => addDataset(files, db, clock(), ref),
          readFile: (ref) => files.read(ref.cid),
          storage: (isOwner) => (isOwner ? storage.report.full() : storage.report.open()),
          changeStorage: async (change) => {
            await storage.change(change)
            return await storage.report.full()
          },
        },
        token,
        pages: readPages(o.pages ?? ''),
        metrics: createMetrics(view, () => storage.report.full()),
        serverFactory: (handler) => {
          gateway.attach(handler)
          return gateway.server
        },
      })
      await routes.ready()
      await desk.restore()
      const welcome: FogMessage = {
        type: 'welcome',
        version: VERSION,
        data: { port: o.port ?? 0, tls: certificate !== undefined, pin: certificate?.fingerprint },
      }
      const port = await listen(gateway.server, host, o.port ?? 0)
      welcome.data.port = port
      stack.defer(async () => {
        gateway.server.close()
        gateway.server.closeAllConnections()
        // the server is closed when its sockets are
        await contributors.close()
        await door.close()
        await routes.close()
      })

      p2p.handleChannel(contributorChannel, (channel) => void contributors.serve(channel, welcome))
      scheduler.start()
      const progress = setInterval(() => jobs.tick(), PROGRESS_MS)
      const gc = setInterval(
        () =>
          blocks.gc({ olderThanMs: UNPINNED_KEPT_MS }).catch((error: unknown) => logger.warn({ error }, 'gc failed')),
        GC_MS,
      )
      stack.defer(() => {
        clearInterval(progress)
        clearInterval(gc)
        stopping.abort()
      })

      const name = urlHost(host)
      const url = certificate ? `https://${name}:${port}#${certificate.fingerprint}` : `http://${name}:${port}`
      const multiaddrs = p2p.addresses()
      stack.defer(await writeConnection(o.connectionHome ?? o.home, { url, token, multiaddrs, pid: process.pid }))
      await storage.start({
        url: url.replace(/#.*/, ''),
        pin: certificate?.fingerprint,
        multiaddrs,
        dht: dht ? p2p : undefined,
        // machines of one address block stand in one place
        domain: isPrivateHost(url) ? undefined : networkOf(name),
      })
      logger.info({ url, multiaddrs }, 'fog node is up')

      let closing: Promise<void> | undefined
      const close = () => {
        closing ??= stack.disposeAsync().then(() => ended.resolve())
        return closing
      }
      const resources = stack
      ended.promise.catch(() => resources.disposeAsync())
      return new FogNode({ url, token, peerId: identity.peerId, multiaddrs, closed: ended.promise, close })
    } catch (error) {
      stopping.abort()
      await stack.disposeAsync()
      throw error
    }
  }
}

/** The host of the gateway's URL: for a node that listens everywhere, the first address that other machines can reach. */
function urlHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return isIP(host) === 6 ? `[${host}]` : host
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

const tcpAddress = (host: string, port: number): string =>
  host === 'localhost'
    ? `/ip4/127.0.0.1/tcp/${port}`
    : `/${isIP(host) === 6 ? 'ip6' : isIP(host) === 4 ? 'ip4' : 'dns'}/${host}/tcp/${port}`

function measuredJobs(jobs: Jobs): { flopsPerSample: number; samplesPerSecond: number }[] {
  return jobs
    .all()
    .filter((job) => job.rounds >= MEASURED_ROUNDS)
    .slice(-5)
    .map((job) => ({
      flopsPerSample: job.program.flopsPerSample,
      samplesPerSecond: job.lastRound?.samplesPerSecond ?? 0,
    }))
}

/** Registers an uploaded dataset: its manifest and shards must be whole. */
async function addDataset(files: FileStore, db: Database, addedAt: number, ref: FileRef): Promise<DatasetView> {
  const { name, kind, samples, files: all } = await datasetFiles(files, ref)
  const bytes = all.reduce((sum, file) => sum + file.bytes, 0)
  for (const { cid } of all) files.blocks.pin(cid, `dataset/${ref.cid}`)
  const view: DatasetView = { cid: ref.cid, name, kind, samples, bytes, addedAt }
  db.saveDataset(view)
  return view
}

const endedSentence = (job: Job): string =>
  job.row.state === 'finishing'
    ? 'All samples are trained; the result is being written.'
    : `It has ended: ${job.row.state}${job.row.reason ? ` (${job.row.reason})` : ''}.`
