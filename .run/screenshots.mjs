// pnpm screenshots [path …]: starts the demo on data of its own and takes pictures of every view, in light, dark and on a
// phone, into .screenshots/. The views are those of the page's registry; a path given instead may hold filters.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { install, top } from './install.mjs'

install()
const { chromium } = createRequire(join(top, 'test', 'package.json'))('playwright-core')

const looks = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, hasTouch: true },
]
/** What a view shows only where it is asked for. */
const filtered = ['/counts?store=London', '/reference?op=get+/v1/sites']
const startMsMax = 120_000
const settleMsMax = 8000
/** Histories of the demo have arrived by then. */
const warmMs = 15_000

const paths = process.argv.slice(2)
if (paths.length === 0) {
  const registry = readFileSync(join(top, 'dashboards', 'web', 'src', 'app.tsx'), 'utf8')
  paths.push(...[...registry.matchAll(/\{ path: '([^']+)'/g)].map(([, path]) => path), ...filtered)
}
const nameOf = path =>
  path
    .replace(/^\/$/, 'overview')
    .replace(/^\//, '')
    .replace(/[^\w-]+/g, '-')

const data = mkdtempSync(join(tmpdir(), 'penstock-screenshots-'))
const demo = spawn(process.execPath, [join(top, '.run', 'start.mjs')], {
  env: { ...process.env, PENSTOCK_DATA: data },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const ended = new Promise(resolve => demo.once('exit', resolve))
const stop = async () => {
  demo.kill('SIGTERM')
  await ended
  rmSync(data, { recursive: true, force: true })
}
process.once('SIGINT', () => stop().then(() => process.exit(130)))

const started = () =>
  new Promise((resolve, reject) => {
    let said = ''
    demo.stdout.on('data', chunk => {
      said = (said + chunk).slice(-10_000)
      const url = /Penstock is running: (http:\S+)/.exec(said)?.[1]
      if (url) resolve(url)
    })
    demo.once('exit', () => reject(new Error(`the demo ended:\n${said}`)))
    setTimeout(() => reject(new Error('the demo did not start in time')), startMsMax).unref()
  })

const shoot = async (browser, url, path, { name, ...look }) => {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...look })
  const page = await context.newPage()
  const complaints = []
  page.on('console', message => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(String(error)))
  await page.goto(url + path)
  // Until nothing is being loaded any more; a view that stays so is shown as it is.
  await page
    .locator('h1, .notice')
    .first()
    .waitFor({ timeout: settleMsMax })
    .catch(() => {})
  await page
    .locator('.skeleton')
    .first()
    .waitFor({ state: 'detached', timeout: settleMsMax })
    .catch(() => {})
  await sleep(600)
  const file = join(top, '.screenshots', `${nameOf(path)}-${name}.png`)
  await page.screenshot({ path: file, fullPage: true })
  const wider = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
  await context.close()
  const said = [...complaints, ...(wider > 0 ? [`${wider} px wider than the window`] : [])]
  process.stdout.write(`${file}${said.length > 0 ? `  ! ${said.join('; ')}` : ''}\n`)
}

try {
  const url = await started()
  await sleep(warmMs)
  mkdirSync(join(top, '.screenshots'), { recursive: true })
  const browser = await chromium.launch({
    executablePath: process.env.PENSTOCK_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  })
  for (const path of paths) for (const look of looks) await shoot(browser, url, path, look)
  await browser.close()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
} finally {
  await stop()
}
