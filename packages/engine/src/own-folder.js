import { rmSync } from 'node:fs'
import { basename } from 'node:path'

/** What the folders begin with that a parent makes for its child (launch.ts). */
export const OWN_FOLDER = 'pingo-engine-'

/**
 * Removes the child's folder, when it is one that was made for it: a child that somebody starts elsewhere must not take away what lies there.
 * @param {string} folder
 */
export function removeFolder(folder) {
  if (!basename(folder).startsWith(OWN_FOLDER)) return
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch {}
}
