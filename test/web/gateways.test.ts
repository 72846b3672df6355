/** The views of gateways and what the page opens with, in a real browser: health in words, files, losses, attention by itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../programs.ts'
import { buildPage, chromiumPath, openBrowser, openPage as openPageOf, overflowOf } from './browser.ts'
import { openWatchedShop, type WatchedShop } from './watched-shop.ts'

const shots = fileURLToPath(new URL('../../.screenshots', import.meta.url))
const startedMs = performance.now()
/** A Wednesday afternoon, whenever the test runs. */
const now = () => new Date(Date.parse('2026-03-18T14:25:00Z') + performance.now() - startedMs)

let dir: string
let shop: WatchedShop
let browser: Browser

const openPage = (path: string, options: BrowserContextOptions = {}) =>
  openPageOf(browser, shop.url, path, { ...options, now: now() })

describe.skipIf(chromiumPath === undefined)('gateways and the overview', { timeout: 90_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-gateways-page-'))
    const webDir = join(dir, 'dist')
    await buildPage(webDir)
    shop = await openWatchedShop({ webDir, recordsFile: join(dir, 'records.duckdb'), now })
    browser = await openBrowser()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await shop?.close()
    if (dir) await rm(dir, { recursive: true, force: true })
  })

  it('say how each gateway is, what its files amounted to, and what was lost', async () => {
    const { page, complaints, close } = await openPage('/gateways')
    await page.waitForSelector('.ledger-lines li')
    const annex = page.locator('section[aria-label="Gateway annex"]')
    const told = (await annex.textContent()) ?? ''
    for (const text of ['Offline', '312 entries', 'comes when it is back']) expect(told).toContain(text)
    expect(await page.locator('.ledger-lines').last().textContent()).toContain(
      'entries 21 to 24 of epoch k7: the spool was full',
    )
    await page.screenshot({ path: join(shots, 'gateways-light.png'), fullPage: true })
    await page.getByRole('searchbox', { name: 'Search a file' }).fill('03-13')
    await until('the address', () => new URL(page.url()).search === '?search=03-13')
    const file = page.locator('section[aria-labelledby="ledger-title"] li')
    await until('one day', async () => (await file.count()) === 2)
    expect(await file.first().textContent()).toContain('doors-2026-03-13.csv: 22 read, 22 stored, 0 rejected, complete')
    expect(await file.last().textContent()).toContain('44 read, 43 stored, 1 rejected, complete')
    expect(complaints).toEqual([])
    await close()
  })

  it('say by themselves what needs attention, where a source fails, and lead to it', async () => {
    const { page, complaints, close } = await openPage('/')
    await page.waitForSelector('.attention li')
    await page.waitForSelector('.line.live')
    const items = page.locator('.attention li')
    expect(await items.first().textContent()).toContain('Gateway annex is offline, for 3 hours.')
    expect(await page.locator('.flow-name').allTextContents()).toEqual([
      ...['Gateways', 'Broker', 'Journal', 'Historian', 'Rollups'],
    ])
    await page.waitForSelector('.card')
    await page.screenshot({ path: join(shots, 'overview-light.png'), fullPage: true })
    shop.shopSays({ health: 'failing', message: 'the folder /doors cannot be read' })
    const failing = page.locator('.attention li', { hasText: 'Source doors of gateway shop fails: the folder /doors' })
    await failing.waitFor()
    await failing.getByRole('link', { name: 'Look' }).click()
    await until('the gateway', () => page.url().endsWith('/gateways?gateway=shop'))
    await until('its health', async () => (await page.locator('.health').first().textContent())?.startsWith('failing'))
    shop.shopSays({})
    await until('it is well', async () => (await page.locator('.health').first().textContent()) === 'well')
    expect(complaints).toEqual([])
    await close()
  })

  it('fit a phone, in the dark', async () => {
    for (const [path, name] of [
      ['/', 'overview'],
      ['/gateways', 'gateways'],
    ] as const) {
      const { page, complaints, close } = await openPage(path, {
        viewport: { width: 375, height: 812 },
        colorScheme: 'dark',
        reducedMotion: 'reduce',
      })
      await page.waitForSelector(path === '/' ? '.card' : '.ledger-lines li')
      expect(await overflowOf(page), path).toBe(0)
      await page.screenshot({ path: join(shots, `${name}-phone-dark.png`), fullPage: true })
      expect(complaints).toEqual([])
      await close()
    }
  })
})
