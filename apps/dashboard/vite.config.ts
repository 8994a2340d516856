import { readdir, readFile, writeFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/** Where `vite` (dev) forwards API calls to: a running fog node, by `PINGO_FOG`, as the CLI reads it. */
const fog = process.env.PINGO_FOG ?? 'http://127.0.0.1:7070'
/** What the page that contributes alone needs: the fog node allows WebAssembly there, and only there. */
const CONTRIBUTE = 'assets/contribute'

/** Vite would put something empty in the place of Node's modules: our own sources may not import them at all. */
const withoutNode: Plugin = {
  name: 'without-node',
  enforce: 'pre',
  resolveId(id, importer) {
    if (isBuiltin(id) && importer && !importer.includes('node_modules'))
      throw new Error(`${importer} imports ${id}, which no browser has`)
    return null
  },
}

/** The engine is 14 MB: compressed here once, not by each fog node. */
const compressed: Plugin = {
  name: 'compressed',
  async writeBundle({ dir }) {
    const folder = join(dir!, CONTRIBUTE)
    for (const name of await readdir(folder))
      if (name.endsWith('.wasm')) {
        const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }
        await writeFile(join(folder, `${name}.br`), brotliCompressSync(await readFile(join(folder, name)), options))
      }
  },
}

const isContributing = (name: string | undefined) => name === 'contribute' || name?.endsWith('.wasm')

export default defineConfig({
  plugins: [react(), withoutNode, compressed],
  server: { proxy: { '/v1': { target: fog, changeOrigin: true, ws: true }, '/ipfs': { target: fog } } },
  worker: {
    format: 'es',
    plugins: () => [withoutNode],
    rolldownOptions: {
      output: {
        entryFileNames: `${CONTRIBUTE}/[name]-[hash].js`,
        chunkFileNames: `${CONTRIBUTE}/[name]-[hash].js`,
        assetFileNames: `${CONTRIBUTE}/[name]-[hash][extname]`,
      },
    },
  },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The page runs under `default-src 'self'`: nothing may become a data: URL or an inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: {
        index: join(import.meta.dirname, 'index.html'),
        contribute: join(import.meta.dirname, 'contribute.html'),
        machine: join(import.meta.dirname, 'machine.html'),
      },
      output: {
        entryFileNames: ({ name }) => `${isContributing(name) ? CONTRIBUTE : 'assets'}/[name]-[hash].js`,
        assetFileNames: ({ names }) => `${names.some(isContributing) ? CONTRIBUTE : 'assets'}/[name]-[hash][extname]`,
      },
    },
  },
})
