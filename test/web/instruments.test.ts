/** The view of instruments in a real browser: live values, a spike that zoom does not lose, and the line of the file it came from. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../programs.ts'
import { buildPage, chromiumPath, openBrowser, openPage as openPageOf, overflowOf, screenshots } from './browser.ts'
import { type Lab, openLab, spikeRow } from './lab.ts'

const startedMs = performance.now()
const now = () => new Date(Date.parse('2026-03-18T14:25:00Z') + performance.now() - startedMs)
const gauge = '/instruments?s=Lab/gauge/vacuum'

let dir: string
let lab: Lab
let browser: Browser
const openPage = (path: string, options: BrowserContextOptions = {}) =>
  openPageOf(browser, lab.url, path, { ...options, now: now() })

/** How many different colours a canvas shows: an empty one shows one. */
const coloursOf = (page: Page, selector: string): Promise<number> =>
  page.evaluate<number>(`(() => {
    const canvas = document.querySelector('${selector}')
    if (!canvas || canvas.width === 0) return 0
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    return new Set(new Uint32Array(data.buffer)).size
  })()`)
const drawn = (page: Page, selector: string) =>
  until(`${selector} is drawn`, async () => (await coloursOf(page, selector)) > 3)
const parameter = (page: Page, name: string) => new URL(page.url()).searchParams.get(name)

describe.skipIf(chromiumPath === undefined)('instruments', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-instruments-'))
    await buildPage(join(dir, 'dist'))
    lab = await openLab({ webDir: join(dir, 'dist'), dir, now })
    browser = await openBrowser()
    await mkdir(screenshots, { recursive: true })
  })
  afterAll(async () => {
    await browser?.close()
    await lab?.close()
    if (dir) await rm(dir, { recursive: true, force: true })
  })

  it('finds an instrument, follows its value, and tells where its spike came from', async () => {
    const { page, complaints, close } = await openPage('/instruments')
    await page.getByRole('searchbox').fill('mbar')
    await until('the list is short', async () => (await page.locator('.leaf').count()) === 1)
    await page.getByRole('link', { name: /Vacuum gauge/ }).click()
    await page.waitForSelector('.chart.lines canvas')
    expect(await page.locator('.chart.lines').count(), 'two units in the first chart, the third in a second').toBe(2)
    expect(await page.locator('.flags').textContent()).toContain('failed')
    expect(await page.locator('.explore .lead').textContent()).toContain('source gauge-files on lab-pc: ok')

    await page.waitForSelector('.line.live')
    await lab.measure(7.25e-5)
    await until('the value', async () => (await page.locator('.leaf-value').textContent()) === '7.25E−5 mbar')
    await until('the table', async () => (await page.locator('tbody tr td').first().textContent()) === '7.25E−5')

    // The spike is found in the whole range, and asked about by the keyboard.
    const time = await page.evaluate<string>(`fetch('/v1/readings?site=Lab&device=gauge&stream=vacuum&points=200')
      .then(r => r.json()).then(r => r.time[r.columns[0].values.indexOf(2e-4)])`)
    await page.goto(`${lab.url}${gauge}&range=all&point=Lab/gauge/vacuum@${time}`)
    await page.waitForSelector('.facts')
    const facts = await page.locator('.lineage').textContent()
    for (const said of [
      'run_042.csv',
      `Line or row${spikeRow + 3}`,
      'csv',
      'gauge-files',
      'lab-pc',
      'PKR 251',
      'M. Curie',
    ]) {
      expect(facts).toContain(said)
    }
    expect(facts).toContain('Europe/Madrid')
    expect(facts).toContain('in the historian')
    expect(complaints).toEqual([])
    await close()
  })

  it('zooms, pans and picks with mouse and keyboard, and keeps it in the address', async () => {
    const { page, complaints, close } = await openPage(`${gauge}:pressure&range=1h`)
    const chart = page.locator('.chart.lines')
    await drawn(page, '.chart.lines canvas')
    expect(await page.locator('.chart-notes').textContent()).toContain('The smallest and largest')
    const box = await page.locator('.u-over').boundingBox()
    if (!box) throw new Error('no chart')
    await page.mouse.move(box.x + box.width * 0.3, box.y + 60)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.5, box.y + 80, { steps: 4 })
    await page.mouse.up()
    await until('a range in the address', () => parameter(page, 'from') !== null)
    const span = () => Date.parse(parameter(page, 'to') ?? '') - Date.parse(parameter(page, 'from') ?? '')
    expect(span()).toBeGreaterThan(0.17 * 3_600_000)
    expect(span()).toBeLessThan(0.23 * 3_600_000)
    await until('every row is drawn', async () =>
      /All \d+ rows/.test((await page.locator('.chart-notes').textContent()) ?? ''),
    )
    const zoomedFrom = parameter(page, 'from')
    await chart.focus()
    await page.keyboard.press('Shift+ArrowRight')
    await until('panned', () => parameter(page, 'from') !== zoomedFrom)
    const before = span()
    await page.keyboard.press('+')
    await until('zoomed in', () => span() < before * 0.6)
    await page.keyboard.press('Home')
    await until('a value is read', async () =>
      /mbar/.test((await page.locator('.charts .readout').textContent()) ?? ''),
    )
    await page.keyboard.press('Enter')
    await page.waitForSelector('.facts')
    expect(parameter(page, 'point')).toMatch(/^Lab\/gauge\/vacuum@2026-03-18T/)
    await page.getByRole('button', { name: 'Reset' }).click()
    await until('reset', () => parameter(page, 'from') === null)
    await page.getByRole('checkbox', { name: 'Log scale' }).check()
    await until('log', () => parameter(page, 'log') === '1')
    const href = await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href')
    const csv = await (await fetch(lab.url + href)).text()
    expect(csv).toMatch(/^time,local time \(Europe\/Madrid\),pressure \[mbar\],status\r\n/)
    expect(csv.split('\r\n').length).toBeGreaterThan(3000)
    expect(complaints).toEqual([])
    await close()
  })

  it('shows curves as a line and a heat map, images as pictures', async () => {
    const { page, complaints, close } = await openPage('/instruments?s=Lab/spectrometer/spectra')
    await drawn(page, '.chart.curve canvas')
    await until('the heat map', async () => (await coloursOf(page, '.heat-map canvas')) > 50)
    const newest = await page.locator('.slider-time strong').textContent()
    await page.locator('.heat-map canvas').focus()
    await page.keyboard.press('Home')
    await until('the first', async () => (await page.locator('.slider-time strong').textContent()) !== newest)
    expect(await page.getByRole('slider').getAttribute('aria-valuetext')).toMatch(/^Wed,? 18 Mar 2026/)
    const first = parameter(page, 'curve')
    await page.getByRole('button', { name: 'The one after' }).click()
    await until('the next', () => parameter(page, 'curve') !== first)
    await page.screenshot({ path: join(screenshots, 'spectra-light.png'), fullPage: true })
    await page.goto(`${lab.url}/instruments?s=Lab/camera/beam`)
    await until('the picture', async () => (await coloursOf(page, '.picture > canvas')) > 50)
    await page.locator('.picture > canvas').focus()
    await page.keyboard.press('ArrowRight')
    expect(await page.locator('.picture .readout').textContent()).toMatch(/column 50, row 33/)
    await page.screenshot({ path: join(screenshots, 'image-light.png'), fullPage: true })
    expect(complaints).toEqual([])
    await close()
  })

  it('fits a phone and a wide screen, in light and dark', async () => {
    for (const [name, viewport, colorScheme] of [
      ['instruments-light', { width: 1440, height: 1000 }, 'light'],
      ['instruments-dark', { width: 1440, height: 1000 }, 'dark'],
      ['instruments-phone', { width: 375, height: 812 }, 'dark'],
    ] as const) {
      const path = `${gauge}&s=Lab/spectrometer/spectra&range=all`
      const { page, complaints, close } = await openPage(path, { viewport, colorScheme })
      await drawn(page, '.chart.lines canvas')
      await until('the heat map', async () => (await coloursOf(page, '.heat-map canvas')) > 50)
      expect(await overflowOf(page), name).toBe(0)
      await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true })
      expect(complaints).toEqual([])
      await close()
    }
  })
})
