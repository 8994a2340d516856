import * as dns from 'node:dns'
import type { LookupFunction } from 'node:net'

/** True for loopback, link-local and private addresses (RFC 1918, 4193, 6598), those of IPv4 in IPv6 (RFC 3056, 4291, 6052) and the names of this machine. */
export function isPrivateHost(url: string): boolean {
  return isPrivate(URL.parse(url)?.hostname ?? '')
}

function isPrivate(name: string): boolean {
  const host = name.replace(/^\[|\]$|\.$/g, '').toLowerCase() // a name's last dot is no other name
  return (
    /^(localhost|.*\.localhost|.*\.local|.*\.internal)$/.test(host) ||
    /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(host) ||
    /^(::1?|f[cd][0-9a-f]{2}:.*|fe[89ab][0-9a-f]:.*|::ffff:.*|64:ff9b:.*|2002:.*)$/.test(host)
  )
}

/**
 * Resolves names for a node that is on the internet: whoever owns a name may point it into this node's own network, also after the node
 * has looked at it once (DNS rebinding). What is looked at is therefore the very address that is connected to.
 * @param trusted hosts that the operator named himself: those may be anywhere
 * @param resolve for tests
 */
export function publicLookup(trusted: readonly string[], resolve: typeof dns.lookup = dns.lookup): LookupFunction {
  const known = new Set(trusted)
  return (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, '')
      const open = known.has(host) ? addresses : addresses.filter(({ address }) => !isPrivate(address))
      const [first] = open
      if (!first) return done(new Error('its name leads into a private network'), '')
      if (options.all) done(null, open)
      else done(null, first.address, first.family)
    })
  }
}
