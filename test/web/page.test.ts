/** The page in a real browser against a real app: what people see, by itself, and without any outside address. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../programs.ts'
import { buildPage, chromiumPath, coloursOf, openBrowser, openPage as openPageOf, overflowOf } from './browser.ts'
import { type FiveStores, openFiveStores } from './five-stores.ts'

const top = fileURLToPath(new URL('../..', import.meta.url))
/** A Wednesday afternoon, whenever the test runs: the service and the browser both live in it. */
const startedMs = performance.now()
const now = () => new Date(Date.parse('2026-03-18T14:25:00Z') + performance.now() - startedMs)

let dir: string
let stores: FiveStores
let browser: Browser

const openPage = (path: string, options: BrowserContextOptions = {}) =>
  openPageOf(browser, stores.url, path, { ...options, now: now() })

const numberOf = (text: string | null): number => Number((text ?? '').replaceAll(',', ''))
const shownNumber = async (page: Page, selector: string): Promise<number> =>
  numberOf(await page.locator(selector).first().textContent())

describe.skipIf(chromiumPath === undefined)('the page', { timeout: 90_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-page-'))
    const webDir = join(dir, 'dist')
    await buildPage(webDir)
    stores = await openFiveStores({ webDir, recordsFile: join(dir, 'records.duckdb'), weeks: 12, now })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await stores?.close()
    if (dir) await rm(dir, { recursive: true, force: true })
  })

  it('shows five stores and asks to choose one', async () => {
    const { page, complaints, close } = await openPage('/')
    await page.waitForSelector('.card-count')
    expect(await page.locator('h1').textContent()).toBe('Choose a store')
    expect(await page.locator('.card-name').allTextContents()).toEqual(['Madrid', 'Paris', 'Berlin', 'Roma', 'London'])
    expect(await page.locator('.card .spark rect').count()).toBeGreaterThan(5 * 20)
    await page.waitForSelector('.gateways')
    expect(await page.locator('.gateways').textContent()).toContain('back-office online')
    expect(complaints).toEqual([])
    await close()
  })

  it('draws a chosen store, and the address leads back to it', async () => {
    const { page, complaints, close } = await openPage('/')
    await page.getByRole('link', { name: /London/ }).click()
    await page.waitForSelector('.chart canvas')
    expect(page.url()).toBe(`${stores.url}/counts?store=London`)
    await until('the chart is drawn', async () => (await coloursOf(page)) > 5)
    await page.reload()
    await page.waitForSelector('.chart canvas')
    expect(await page.locator('h1').textContent()).toBe('London')
    await page.goBack()
    await until('the overview is back', async () => (await page.locator('h1').textContent()) === 'Choose a store')
    expect(complaints).toEqual([])
    await close()
  })

  it('changes a count by itself, in the figure, the table and the overview', async () => {
    const store = await openPage('/counts?store=London&tab=table')
    const overview = await openPage('/')
    await store.page.waitForSelector('[data-figure=today]')
    await overview.page.waitForSelector('[data-store=London] .ticking')
    await store.page.waitForSelector('.line.live')
    await overview.page.waitForSelector('.line.live')
    const before = await shownNumber(store.page, '[data-figure=today]')
    let loads = 0
    store.page.on('load', () => loads++)

    await stores.visit('London', 123)

    const goal = before + 123
    await until('the figure', async () => (await shownNumber(store.page, '[data-figure=today]')) === goal)
    await until('the overview', async () => (await shownNumber(overview.page, '[data-store=London]')) === goal)
    await until('the table', async () => (await shownNumber(store.page, 'tbody tr:first-child td')) === goal)
    expect(loads).toBe(0)
    expect([...store.complaints, ...overview.complaints]).toEqual([])
    await store.close()
    await overview.close()
  })

  it('says failed where it failed and no data where none came, never zero', async () => {
    const { page, complaints, close } = await openPage('/counts?store=Berlin&days=28&tab=table')
    await page.waitForSelector('tbody tr')
    const cells = (kind: string) => page.locator(`tbody tr.${kind}`).first().locator('td').allTextContents()
    expect((await cells('failed'))[0]).toBe('–')
    expect((await cells('failed')).at(-1)).toBe('measurement failed')
    expect((await cells('missing'))[0]).toBe('–')
    expect((await cells('missing')).at(-1)).toBe('no data')
    expect((await cells('partial')).at(-1)).toBe('12 hours of a door failed')
    expect(complaints).toEqual([])
    await close()
  })

  it('keeps its filters in the address and answers to the keyboard', async () => {
    const { page, complaints, close } = await openPage('/counts?store=Paris')
    await page.waitForSelector('.chart canvas')
    expect(await page.getByRole('checkbox', { name: 'Sunday' }).isChecked()).toBe(false)
    await page.getByRole('checkbox', { name: 'Sunday' }).check()
    await page.getByRole('radio', { name: 'Hourly' }).check()
    await until('the address', () => new URL(page.url()).search === '?store=Paris&by=hour&weekdays=0123456')
    await page.waitForSelector('.chart canvas')
    await page.locator('.chart').focus()
    await page.keyboard.press('End')
    await page.keyboard.press('ArrowLeft')
    const first = await page.locator('.readout strong').textContent()
    await page.keyboard.press('ArrowLeft')
    await until('another hour', async () => (await page.locator('.readout strong').textContent()) !== first)
    const href = await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href')
    const csv = await (await fetch(stores.url + href)).text()
    expect(csv.split('\r\n').length - 2).toBeGreaterThan(20)
    expect(csv).toMatch(/^store,sensor,date,hour/)
    expect(complaints).toEqual([])
    await close()
  })

  it('says that it is offline, and catches up when the service is back', async () => {
    const { page, close } = await openPage('/counts?store=Roma')
    await page.waitForSelector('.line.live')
    const before = await shownNumber(page, '[data-figure=today]')
    await stores.stopServer()
    await page.waitForSelector('.line.offline')
    await stores.visit('Roma', 50)
    await stores.startServer()
    await page.waitForSelector('.line.live', { timeout: 15_000 })
    await until('the missed count', async () => (await shownNumber(page, '[data-figure=today]')) === before + 50)
    await close()
  })

  it('says that figures are behind, by how much, and stops saying it when they have caught up', async () => {
    stores.behind(['historian is 120 entries behind the journal'])
    const { page, close } = await openPage('/')
    await page.waitForSelector('.card')
    await page.waitForSelector('.behind')
    expect(await page.locator('.behind').textContent()).toContain('historian is 120 entries behind the journal')
    expect(await page.locator('.card').count()).toBe(5)
    await page.screenshot({ path: join(top, '.screenshots', 'behind.png') })
    stores.behind([])
    await page.waitForSelector('.behind', { state: 'detached', timeout: 15_000 })
    await close()
  })

  it('names a store that does not exist and shows the others', async () => {
    const { page, complaints, close } = await openPage('/counts?store=Atlantis')
    await page.waitForSelector('.notice')
    expect(await page.locator('.notice').textContent()).toContain('There is no store “Atlantis”')
    expect(await page.locator('.card').count()).toBe(5)
    expect(complaints).toEqual([])
    await close()
  })

  it('fits a phone, in light and dark', async () => {
    const shots = join(top, '.screenshots')
    await mkdir(shots, { recursive: true })
    for (const [name, viewport, colorScheme] of [
      ['desk', { width: 1280, height: 900 }, 'light'],
      ['phone', { width: 375, height: 812 }, 'dark'],
    ] as const) {
      const { page, complaints, close } = await openPage('/counts?store=London', { viewport, colorScheme })
      await page.waitForSelector('.chart canvas')
      await page.waitForSelector('.line.live')
      expect(await overflowOf(page), `${name} ${colorScheme}`).toBe(0)
      await page.screenshot({ path: join(shots, `${name}-${colorScheme}.png`) })
      expect(complaints).toEqual([])
      await close()
    }
  })
})
