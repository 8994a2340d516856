/** How contributors are divided among jobs: pure arithmetic, without events. */

export interface Demand {
  job: string
  min: number
  /** At most so many are of use. */
  max: number
  memoryBytes: number
}

export interface Worker {
  id: string
  memoryBytes: number
  job: string | null
  /** False while it works on a lease: it stays where it is. */
  movable: boolean
  /** Probability that it is there for a while; of equals the one that will stay is taken. */
  survival: number
}

/**
 * How many contributors each job is to have: first what it needs at least, in the order given (a job for which that is not
 * there gets none), then one more to whoever has the fewest until all are given or every maximum is reached. Memory is
 * respected by counting: of those with much memory, no more are promised than there are.
 */
export function targetsOf(demands: readonly Demand[], workers: readonly Worker[]): Map<string, number> {
  const targets = new Map(demands.map((demand) => [demand.job, 0]))
  const thresholds = [...new Set(demands.map((demand) => demand.memoryBytes))].map((memory) => ({
    memory,
    left: workers.filter((worker) => worker.memoryBytes >= memory).length,
  }))
  const give = (demand: Demand, count: number): boolean => {
    const bound = thresholds.filter(({ memory }) => memory <= demand.memoryBytes)
    if (bound.some(({ left }) => left < count)) return false
    for (const threshold of bound) threshold.left -= count
    targets.set(demand.job, targets.get(demand.job)! + count)
    return true
  }
  const open = demands.filter((demand) => give(demand, demand.min))
  for (;;) {
    open.sort((a, b) => targets.get(a.job)! - targets.get(b.job)!) // stable: ties stay in the order given
    const index = open.findIndex((demand) => targets.get(demand.job)! < demand.max && give(demand, 1))
    if (index < 0) return targets
  }
}

/**
 * Who works for which job: towards the targets, with as few moves as possible. Jobs that need much memory choose first. Who is
 * left over stays, or goes to the first job in the order that can use one more.
 */
export function assign(demands: readonly Demand[], workers: readonly Worker[]): Map<string, string | null> {
  const targets = targetsOf(demands, workers)
  const counts = new Map(demands.map((demand) => [demand.job, 0]))
  const result = new Map<string, string | null>()
  const put = (worker: Worker, job: string | null): void => {
    result.set(worker.id, job)
    if (job !== null) counts.set(job, (counts.get(job) ?? 0) + 1)
  }
  for (const worker of workers) if (!worker.movable) put(worker, worker.job)

  for (const demand of [...demands].sort((a, b) => b.memoryBytes - a.memoryBytes)) {
    const need = targets.get(demand.job)! - counts.get(demand.job)!
    if (need <= 0) continue
    const able = workers.filter((worker) => !result.has(worker.id) && worker.memoryBytes >= demand.memoryBytes)
    const cost = (worker: Worker): number => (worker.job === demand.job ? 0 : worker.job === null ? 1 : 2)
    able.sort(
      (a, b) => cost(a) - cost(b) || a.memoryBytes - b.memoryBytes || b.survival - a.survival || (a.id < b.id ? -1 : 1),
    )
    for (const worker of able.slice(0, need)) put(worker, demand.job)
  }
  for (const worker of workers) {
    if (result.has(worker.id)) continue
    const fits = (demand: Demand): boolean =>
      worker.memoryBytes >= demand.memoryBytes && counts.get(demand.job)! < demand.max
    const stay = demands.find((demand) => demand.job === worker.job && fits(demand))
    put(worker, (stay ?? demands.find(fits))?.job ?? null)
  }
  return result
}
