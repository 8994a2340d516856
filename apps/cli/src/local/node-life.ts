/** Resolves when a node is asked to end: by a signal, or, as a part of a local network, when its parent is gone. */
export function askedToEnd(signal: AbortSignal, o: { withParent?: boolean }): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (!o.withParent) return
    process.stdin
      .on('end', resolve)
      .on('close', resolve)
      .on('error', () => resolve())
    process.stdin.resume()
  })
}
