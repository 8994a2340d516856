/** The page's places, kept in the hash so that the fog node needs to serve one document only. */
export type Route = { page: 'network' } | { page: 'job'; id: string }

/** `#/jobs/ID` is a job; anything else is the network. */
export function parseRoute(hash: string): Route {
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
