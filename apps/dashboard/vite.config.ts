import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Where `vite` (dev) forwards API calls to: a running fog node, by `PINGO_FOG`, as the CLI reads it. */
const fog = process.env.PINGO_FOG ?? 'http://127.0.0.1:7070'

export default defineConfig({
  plugins: [react()],
  server: { proxy: { '/v1': { target: fog, changeOrigin: true } } },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The page runs under `default-src 'self'`: nothing may become a data: URL or an inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
