/** The view of gaps in a real browser: the map, its causes in words, a day opened into its hours, and a gap that fills by itself. */
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

describe.skipIf(chromiumPath === undefined)('the view of gaps', { timeout: 90_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-gaps-page-'))
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

  it('marks each cause in the map and tells it in words with its proof', async () => {
    const { page, complaints, close } = await openPage('/gaps')
    await page.waitForSelector('.gap-map')
    expect(await page.locator('.gap-map tbody th').allTextContents()).toEqual([
      ...['North', 'South', 'Lift', 'Car park', 'Annex', 'Yard'],
    ])
    const marks = new Set(await page.locator('.place').allTextContents())
    expect([...marks].sort()).toEqual(['', '?', 'F', 'G', 'L', 'R', 'S'])
    const told = (await page.locator('.gap-list').textContent()) ?? ''
    expect(told).toContain('Sensor South')
    expect(told).toContain('3 other sensors of gateway shop delivered in these hours.')
    expect(told).toContain('Entries 21 to 24 of its log (epoch k7) are gone: the spool was full.')
    expect(told).toContain('1 rejected in doors-2026-03-13.csv.')
    expect(told).toContain('It had 312 entries still to send when it last spoke.')
    expect(complaints).toEqual([])
    await page.screenshot({ path: join(shots, 'gaps-light.png'), fullPage: true })
    await close()
  })

  it('opens a day into its hours, by keyboard, and the address says so', async () => {
    const { page, complaints, close } = await openPage('/gaps?site=London')
    await page.waitForSelector('.place[tabindex="0"]')
    await page.locator('.place[tabindex="0"]').focus()
    for (const key of ['Home', 'End', 'ArrowDown', ...Array(7).fill('ArrowLeft')]) await page.keyboard.press(key)
    expect(await page.locator('.readout strong').textContent()).toBe('Sensor South · Wed 11 Mar')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.gaps-day')
    expect(new URL(page.url()).search).toBe('?site=London&day=2026-03-11')
    const hours = await page.locator('.gap-map thead th').allTextContents()
    expect([hours[1], hours.at(-1)]).toEqual(['09:00', '19:00'])
    expect(await page.locator('.place.cause-sensor-silent').count()).toBe(11)
    await page.goBack()
    await until('all days are back', async () => (await page.locator('.gaps-day').count()) === 0)
    await page.getByRole('button', { name: /Lost/ }).click()
    await until('the address', () => new URL(page.url()).search === '?site=London&cause=lost')
    expect(await page.locator('.gap-list li').count()).toBe(4)
    await page.getByRole('radio', { name: 'Table' }).check()
    expect(await page.locator('.table tbody tr').count()).toBe(4)
    expect(complaints).toEqual([])
    await close()
  })

  it('fits a phone, in the dark', async () => {
    const { page, complaints, close } = await openPage('/gaps', {
      viewport: { width: 375, height: 812 },
      colorScheme: 'dark',
    })
    await page.waitForSelector('.gap-map')
    expect(await overflowOf(page)).toBe(0)
    await page.screenshot({ path: join(shots, 'gaps-phone-dark.png'), fullPage: true })
    expect(complaints).toEqual([])
    await close()
  })

  it('fills when the gateway is back, by itself', async () => {
    const { page, complaints, close } = await openPage('/gaps')
    await page.waitForSelector('.place.on-its-way')
    await page.waitForSelector('.line.live')
    await shop.annexReturns()
    await page.clock.runFor(6000)
    await until('it filled', async () => (await page.locator('.place.on-its-way').count()) === 0)
    expect(complaints).toEqual([])
    await close()
  })
})
