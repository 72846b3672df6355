/** The gateway's own page in a real browser, over a real gateway that reads files: what people see, by itself, without any outside address. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, type Program, runMain, until } from '../programs.ts'
import { chromiumPath, coloursOf, openBrowser, openPage as openPageOf, overflowOf } from './browser.ts'

const top = fileURLToPath(new URL('../..', import.meta.url))
const shots = join(top, '.screenshots')

let dir: string
let url: string
let gateway: Program
let browser: Browser

/** The page as it is served: built where it is missing or old, as `npm test` does. */
const buildPages = async (): Promise<void> => {
  const script = "import { buildPage } from './.run/install.mjs'; buildPage()"
  const build = spawn(process.execPath, ['--input-type=module', '-e', script], {
    ...{ cwd: top, stdio: ['ignore', 'inherit', 'inherit'] },
  })
  const [code] = (await once(build, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`the pages do not build: ${code}`)
}

const configOf = (port: number, extra = ''): string => `gateway: bench-3
site: Lab
zone: Asia/Tokyo
data: data
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:9" }
page: { port: ${port} }
sources:
  - { id: shops, kind: simulate, weeksBack: 1, everyMs: 500 ms, lab: {} }
  - id: weather
    kind: tail
    folder: in
    pattern: "*.csv"
    pollMsMax: 100 ms
    format:
      kind: csv
      time: { column: time, layout: YYYY-MM-DD HH:mm:ss }
      columns: { t: { type: float, unit: °C }, humidity: { type: float, unit: "%" } }
${extra}`

const openPage = (options: BrowserContextOptions = {}) => openPageOf(browser, url, '/', { locale: 'en-GB', ...options })

const startGateway = async (): Promise<void> => {
  gateway = runMain('gateway', ['run', join(dir, 'gateway.yaml')])
  await until('the page is open', async () => (await fetch(`${url}/api/snapshot`)).ok)
}

const card = (page: Page, source: string) => page.getByRole('article', { name: source })
const shownValue = (page: Page, source: string, column: string) =>
  card(page, source).getByRole('button', { name: new RegExp(`chart of ${column},`) })

/** Lets go of a file above the page, as a person with a mouse does. */
const dropFile = (page: Page, name: string, text: string): Promise<void> =>
  page.evaluate(`(() => {
    const carried = new DataTransfer()
    carried.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}))
    for (const type of ['dragover', 'drop']) {
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }))
    }
  })()`)

const sample = `Zeit;Druck (mbar);Temp (°C)
${Array.from({ length: 40 }, (_, i) => `15.03.2026 12:00:${String(i).padStart(2, '0')};1013,${i};21,5`).join('\n')}
15.03.2026 12:00:40;oops;21,5
`

describe.skipIf(chromiumPath === undefined)("the gateway's page", { timeout: 90_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-gateway-page-'))
    await mkdir(join(dir, 'in'))
    await mkdir(shots, { recursive: true })
    await buildPages()
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    await writeFile(join(dir, 'gateway.yaml'), configOf(port))
    await startGateway()
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    if (gateway?.running()) await gateway.kill('SIGTERM')
    if (dir) await rm(dir, { recursive: true, force: true })
  })

  it('shows a value as soon as it is read, and its chart, without a reload', async () => {
    const { page, complaints, close } = await openPage()
    await page.waitForSelector('.line.live')
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('bench-3')
    expect(await card(page, 'weather').textContent()).toContain('Nothing has come')
    let loads = 0
    page.on('load', () => loads++)

    await writeFile(
      join(dir, 'in', 'a.csv'),
      'time,t,humidity\n2026-03-15 12:00:00,21.5,40\n2026-03-15 12:00:01,21.625,41\n',
    )
    await until('the value', async () => (await shownValue(page, 'weather', 't').textContent()) === 't21.625 °C')
    expect(await card(page, 'weather').textContent()).toContain('15 Mar 2026, 12:00:01 (Asia/Tokyo)')
    await shownValue(page, 'weather', 't').click()
    await until('the chart is drawn', async () => (await coloursOf(page)) > 5)

    await appendFile(join(dir, 'in', 'a.csv'), '2026-03-15 12:00:02,1e-9,41\n')
    await until('the next value', async () => (await shownValue(page, 'weather', 't').textContent()) === 't1 × 10⁻⁹ °C')
    expect(loads).toBe(0)
    expect(complaints).toEqual([])
    await close()
  })

  it('says what needs attention, each reject with its bytes, each file with its sums', async () => {
    const { page, complaints, close } = await openPage()
    await page.waitForSelector('.line.live')
    await appendFile(
      join(dir, 'in', 'b.csv'),
      'time,t,humidity\n2026-03-15 13:00:00,warm,40\n2026-03-15 13:00:01,20,4\n',
    )
    const attention = page.getByRole('region', { name: 'What needs attention' })
    await until('the reject is told', async () => (await attention.textContent())?.includes('1 of 5 rows'))
    expect(await attention.textContent()).toContain('No link to the cloud: 127.0.0.1:9: nothing answers there.')
    expect(await attention.textContent()).toContain('there is room for')
    const rejects = page.getByRole('region', { name: 'Rejects' })
    await until('the bytes', async () => (await rejects.textContent())?.includes('2026-03-15 13:00:00,warm,40'))
    expect(await rejects.textContent()).toContain('"warm" is not a number')
    expect(await rejects.textContent()).toContain('b.csv, line 2')
    const row = page.getByRole('row', { name: /b\.csv/ })
    expect((await row.getByRole('cell').allTextContents()).slice(0, 3)).toEqual(['2', '1', '1'])
    expect(complaints).toEqual([])
    await close()
  })

  it('shows what a chosen or dragged file would become, with the source that reads it', async () => {
    const { page, complaints, close } = await openPage()
    await page.waitForSelector('.line.live')
    await page.getByRole('button', { name: 'Choose a file' }).waitFor()
    const file = { name: 'probe.csv', mimeType: 'text/csv', buffer: Buffer.from(sample) }
    await page.setInputFiles('input[type=file]', file)
    const report = page.getByRole('article', { name: 'probe.csv' })
    await report.waitFor()
    const text = (await report.textContent()) ?? ''
    expect(text).toContain('Read as csv')
    expect(text).toContain('41 rows read, 1 rejected')
    expect(text).toContain('1,013.29')
    expect(text).toContain('2026-03-15 12:00:29')
    expect(text).toContain('15.03.2026 12:00:40;oops;21,5')
    const yaml = await report.locator('pre').textContent()
    expect(yaml).toContain('kind: csv')
    expect(yaml).toContain('decimal: ","')

    await report.getByRole('combobox', { name: 'Its local times are in' }).selectOption('Europe/Berlin')
    await until('the other zone', async () => (await report.textContent())?.includes('12:00:29.000+01:00'))
    expect(await report.locator('pre').textContent()).toContain('zone: Europe/Berlin')

    await dropFile(page, 'dragged.csv', sample)
    await page.getByRole('article', { name: 'dragged.csv' }).waitFor()
    await report.getByRole('heading', { name: 'dragged.csv' }).waitFor({ state: 'detached' })
    await page.screenshot({ path: join(shots, 'gateway-file.png'), fullPage: true })
    await dropFile(page, 'empty.csv', '')
    await until('the refusal', async () =>
      (await page.getByRole('alert').textContent())?.includes('The file is empty.'),
    )
    // The browser itself writes what the gateway refused on its console.
    expect(complaints.filter(text => !text.includes('400'))).toEqual([])
    await close()
  })

  it('answers to the keyboard, and has a name for everything', async () => {
    const { page, complaints, close } = await openPage()
    await shownValue(page, 'weather', 'humidity').focus()
    await page.keyboard.press('Enter')
    const chart = page.getByRole('img', { name: /^humidity %, Lab \/ weather \/ readings/ })
    await chart.waitFor()
    expect(await page.getByRole('combobox', { name: 'Column' }).inputValue()).toBe('humidity')
    await until('the points', async () => (await coloursOf(page)) > 5)
    await chart.focus()
    await page.keyboard.press('End')
    await until('the last point', async () => (await page.locator('.readout').textContent())?.startsWith('4 %'))
    await page.keyboard.press('ArrowLeft')
    await until('the one before', async () => (await page.locator('.readout').textContent())?.startsWith('41 %'))
    await page.getByRole('radio', { name: '1 min', exact: true }).check()
    await until('the last minute', async () => (await coloursOf(page)) > 1)
    const nameless = await page.evaluate<number>(
      `[...document.querySelectorAll('button, a, select, input:not([hidden])')].filter(e =>
        !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length`,
    )
    expect(nameless).toBe(0)
    expect(complaints).toEqual([])
    await close()
  })

  it('fits a phone and a desk, in light and dark, and writes numbers as the reader does', async () => {
    for (const [name, viewport, colorScheme] of [
      ['desk', { width: 1280, height: 900 }, 'light'],
      ['phone', { width: 375, height: 812 }, 'dark'],
    ] as const) {
      const { page, complaints, close } = await openPage({ viewport, colorScheme, locale: 'de-DE' })
      await page.waitForSelector('.chart canvas')
      await page.setInputFiles('input[type=file]', {
        ...{ name: 'probe.csv', mimeType: 'text/csv', buffer: Buffer.from(sample) },
      })
      await page.waitForSelector('.report')
      expect(await page.locator('.report').textContent()).toContain('1.013,29')
      expect(await overflowOf(page), `${name} ${colorScheme}`).toBe(0)
      await page.screenshot({ path: join(shots, `gateway-${name}-${colorScheme}.png`), fullPage: true })
      expect(complaints).toEqual([])
      await close()
    }
  })

  it('says that an edited configuration was refused, and why', async () => {
    const { page, complaints, close } = await openPage()
    await page.waitForSelector('.line.live')
    const port = Number(new URL(url).port)
    await writeFile(join(dir, 'gateway.yaml'), configOf(port, '    patern: "*.txt"\n'))
    const attention = page.getByRole('region', { name: 'What needs attention' })
    await until('the refusal', async () => (await attention.textContent())?.includes('did you mean "pattern"?'))
    expect(await attention.textContent()).toContain('was refused; the gateway goes on with the one before')
    await page.screenshot({ path: join(shots, 'gateway-refused.png') })
    await writeFile(join(dir, 'gateway.yaml'), configOf(port))
    await until('it is taken back', async () => !(await attention.textContent())?.includes('was refused'))
    expect(complaints).toEqual([])
    await close()
  })

  it('says that it is offline, and catches up when the gateway is back', async () => {
    const { page, close } = await openPage()
    await page.waitForSelector('.line.live')
    await gateway.kill('SIGKILL')
    await page.waitForSelector('.line.offline')
    const banner = page.getByRole('alert')
    await until('the banner', async () => (await banner.textContent())?.includes('does not hear the gateway'))
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('bench-3')
    await page.screenshot({ path: join(shots, 'gateway-offline.png') })
    await appendFile(join(dir, 'in', 'b.csv'), '2026-03-15 13:00:02,19.25,4\n')
    await startGateway()
    await page.waitForSelector('.line.live', { timeout: 20_000 })
    await until('the missed value', async () => (await shownValue(page, 'weather', 't').textContent()) === 't19.25 °C')
    await close()
  })
})
