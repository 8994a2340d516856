/** The page's places, kept in the hash so that the fog node needs to serve one document only. */
export type Route = { page: 'network' } | { page: 'storage' } | { page: 'job'; id: string }

/** `#/jobs/ID` is a job, `#/storage` the storage network; anything else is the network. */
export function parseRoute(hash: string): Route {
  if (/^#\/storage\/?$/.test(hash)) return { page: 'storage' }
  const match = /^#\/jobs\/([^/?#]+)\/?$/.exec(hash)
  if (!match?.[1]) return { page: 'network' }
  try {
    return { page: 'job', id: decodeURIComponent(match[1]) }
  } catch {
    return { page: 'network' }
  }
}

export const jobHref = (id: string): string => `#/jobs/${encodeURIComponent(id)}`
export const networkHref = '#/'
export const storageHref = '#/storage'
