/** How a second machine joins this fog node. */

/** Loopback, or 'any address' of this machine: nothing that another one could dial. */
const LOCAL = /^\/(ip4\/127\.|ip4\/0\.0\.0\.0\/|ip6\/::1?\/|dns[46]?\/localhost\/)/

export interface JoinCommand {
  text: string
  /** False when no address is known that other machines could dial. */
  reachable: boolean
}

/**
 * The command to type on another machine. Prefers an address that other machines can reach over loopback, and completes
 * it with the peer id, without which a dialler could not tell whom it talks to.
 * Returns undefined while the fog node listens nowhere.
 */
export function joinCommand(addresses: readonly string[], id: string): JoinCommand | undefined {
  const outside = addresses.find((address) => !LOCAL.test(address))
  const address = outside ?? addresses[0]
  if (address === undefined) return undefined
  const full = address.includes('/p2p/') ? address : `${address.replace(/\/$/, '')}/p2p/${id}`
  return { text: `npx pingo contribute --fog ${full}`, reachable: outside !== undefined }
}

export const SUBMIT_COMMAND = 'npx pingo train job.yaml'
