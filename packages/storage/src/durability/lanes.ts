/** Runs `work` on all items, at most `lanes` at once. @throws the first failure, when all that began has ended */
export async function inLanes<T>(items: Iterable<T>, lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  let failure: { error: unknown } | undefined
  const lane = async () => {
    for (let next = iterator.next(); !next.done && failure === undefined; next = iterator.next())
      await work(next.value).catch((error) => {
        failure ??= { error }
      })
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  if (failure) throw failure.error
}
