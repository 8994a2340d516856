import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createRequire, isBuiltin } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { build, type Plugin } from 'vite'
import { launchChromium } from './chromium.ts'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}
/** What a careful site sends: its own scripts, WebAssembly, and no eval. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:"
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

/** The test page, bundled by Vite, on two servers (cross-origin isolated, or not) and in a headless Chromium. */
export class BrowserStage implements AsyncDisposable {
  readonly browser: Browser
  readonly #folder: string
  readonly #servers: Record<'plain' | 'isolated', Server>

  static async open(): Promise<BrowserStage> {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-engine-page-'))
    const undo: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })]
    try {
      await bundle(folder)
      const plain = await serve(folder, {})
      undo.push(() => closed(plain))
      const isolated = await serve(folder, ISOLATED)
      undo.push(() => closed(isolated))
      const browser = await launchChromium()
      return new BrowserStage(browser, folder, { plain, isolated })
    } catch (error) {
      for (const step of undo.reverse()) await step()
      throw error
    }
  }

  private constructor(browser: Browser, folder: string, servers: Record<'plain' | 'isolated', Server>) {
    this.browser = browser
    this.#folder = folder
    this.#servers = servers
  }

  /** A page that has loaded its script; `globalThis.pingo` is there. */
  async page(which: 'plain' | 'isolated'): Promise<Page> {
    const page = await this.browser.newPage()
    const { port } = this.#servers[which].address() as AddressInfo
    await page.goto(`http://127.0.0.1:${port}/`)
    await page.waitForFunction(() => 'pingo' in globalThis)
    return page
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close().catch(() => {})
    await Promise.all(Object.values(this.#servers).map(closed))
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Vite would put something empty in the place of Node's modules: our own sources may not import them at all. */
const withoutNode: Plugin = {
  name: 'without-node',
  enforce: 'pre',
  resolveId(id, importer) {
    if (isBuiltin(id) && !importer?.includes('node_modules'))
      throw new Error(`${importer} imports ${id}, which no browser has`)
    return null
  },
}

async function bundle(folder: string): Promise<void> {
  await build({
    root: import.meta.dirname,
    configFile: false,
    logLevel: 'error',
    plugins: [withoutNode],
    worker: { format: 'es', plugins: () => [withoutNode] },
    build: { outDir: folder, emptyOutDir: true, minify: false, target: 'esnext', assetsInlineLimit: 0 },
  })
}

/** Serves the bundle, and onnxruntime-web's files below /ort/, on a free port of this machine. */
async function serve(folder: string, headers: Record<string, string>): Promise<Server> {
  const ort = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'))
  const server = createServer(async ({ url = '/' }, response) => {
    const path = new URL(url, 'http://127.0.0.1').pathname
    const file = path.startsWith('/ort/') ? join(ort, path.slice('/ort/'.length)) : join(folder, path)
    try {
      const body = await readFile(path === '/' ? join(folder, 'index.html') : file)
      const type = TYPES[extname(file) || '.html'] ?? 'application/octet-stream'
      response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY, ...headers }).end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return server
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
