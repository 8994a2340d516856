// Starts the child with the code that an earlier child has compiled, where there is some: it need not load the type stripper then, which
// takes 29 MB. Plain JavaScript for the same reason.
import { enableCompileCache, flushCompileCache } from 'node:module'

const folder = process.argv[3]
if (folder) enableCompileCache(folder)
await import('./child.ts')
if (folder) flushCompileCache()
