/** A real browser for tests of pages, which fails a test for every error on the console and every request that leaves the page's origin. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { findProgram } from '../programs.ts'

export const chromiumPath = process.env.PENSTOCK_CHROMIUM ?? findProgram('chromium')
const flags = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: chromiumPath ?? '', args: flags })

export interface OpenPage {
  page: Page
  /** What was said on the console, and what was asked of another origin. */
  complaints: string[]
  close(): Promise<void>
}

/** @param now what the browser's clock says; left out, the machine's */
export const openPage = async (
  browser: Browser,
  origin: string,
  path: string,
  { now, ...options }: BrowserContextOptions & { now?: Date } = {},
): Promise<OpenPage> => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...options })
  if (now) await context.clock.install({ time: now })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', message => {
    // The browser's advice about `coloursOf` below is for this test.
    if (message.text().startsWith('Canvas2D: Multiple readback')) return
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('request', request => {
    if (!request.url().startsWith(origin)) complaints.push(`asked ${request.url()}`)
  })
  await page.goto(origin + path)
  return { page, complaints, close: () => context.close() }
}

/** Builds the cloud's page from its sources. */
export const buildPage = async (outDir: string): Promise<void> => {
  const web = fileURLToPath(new URL('../../dashboards/web', import.meta.url))
  const vite = join(web, 'node_modules/vite/bin/vite.js')
  const build = spawn(process.execPath, [vite, 'build', '--outDir', outDir, '--emptyOutDir', '--logLevel', 'warn'], {
    cwd: web,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const [code] = (await once(build, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`the page does not build: vite ended with ${code}`)
}

/** How many different colours the chart's canvas shows: an empty one shows one. Runs in the browser, hence as text. */
export const coloursOf = (page: Page): Promise<number> =>
  page.evaluate<number>(`(() => {
    const canvas = document.querySelector('.chart canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    return new Set(new Uint32Array(data.buffer)).size
  })()`)

/** By how much the page is wider than the window. */
export const overflowOf = (page: Page): Promise<number> =>
  page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')

const top = fileURLToPath(new URL('../..', import.meta.url))
/** Pictures of the pages, to be looked at: git ignores the folder. */
export const screenshots = join(top, '.screenshots')
