/** What the folders begin with that a parent makes for its child (launch.ts). */
export const OWN_FOLDER: string
/** Removes the child's folder, when it is one that was made for it. */
export function removeFolder(folder: string): void
