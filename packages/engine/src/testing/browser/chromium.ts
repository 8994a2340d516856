import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** `PINGO_CHROMIUM`, else where Linux distributions, macOS and Windows put one. */
function browserPath(): string {
  const places = [
    process.env.PINGO_CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  ]
  const found = places.find((place) => place !== undefined && existsSync(place))
  if (!found) throw new Error('No Chromium or Chrome was found: install one or set PINGO_CHROMIUM to its path.')
  return found
}

/** A headless browser that talks to nobody but the pages it is shown. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({ executablePath: browserPath(), headless: true, args: CHROMIUM_ARGS })
