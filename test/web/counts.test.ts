/** The view of counts in a real browser: filters, table, downloads, a usual week, comparisons; by mouse, by keyboard, on a phone. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parquetReadObjects } from 'hyparquet'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../programs.ts'
import { buildPage, chromiumPath, coloursOf, openBrowser, openPage as openPageOf, overflowOf } from './browser.ts'
import { type FiveStores, openFiveStores } from './five-stores.ts'

const shots = fileURLToPath(new URL('../../.screenshots', import.meta.url))
/** A Wednesday afternoon, whenever the test runs: the service and the browser both live in it. */
const startedMs = performance.now()
const now = () => new Date(Date.parse('2026-03-18T14:25:00Z') + performance.now() - startedMs)

let dir: string
let stores: FiveStores
let browser: Browser

interface Row {
  date: string
  hour: number | null
  count: number
  baseline: number
  changePercent: number | null
  status: string
}

const openPage = (path: string, options: BrowserContextOptions = {}) =>
  openPageOf(browser, stores.url, path, { locale: 'en-GB', ...options, now: now() })

const tab = (page: Page, name: string) => page.getByRole('tab', { name })
const shownRows = async (page: Page): Promise<string[][]> => {
  const rows = await page.locator('#tab-panel tbody tr').all()
  return Promise.all(rows.map(async row => (await row.locator('th, td').allTextContents()).map(text => text.trim())))
}
const whole = (value: number) => Math.round(value).toLocaleString('en-GB')
const tenth = (value: number) => value.toLocaleString('en-GB', { maximumFractionDigits: 1 })
/** What the table says of a row, put together apart from the page. */
const tableRow = ({ date, hour, count, baseline, changePercent, status }: Row): string[] => {
  const day = new Date(`${date}T00:00:00Z`)
  const name = (options: Intl.DateTimeFormatOptions) => day.toLocaleDateString('en-GB', { timeZone: 'UTC', ...options })
  const change = changePercent === null ? '–' : Math.abs(changePercent).toFixed(1)
  const sign = change === '–' ? '' : change === '0.0' ? '±' : (changePercent ?? 0) > 0 ? '+' : '−'
  return [
    `${name({ weekday: 'short' })} ${day.getUTCDate()} ${name({ month: 'short' })}, ${String(hour).padStart(2, '0')}:00`,
    ...[whole(count), tenth(baseline), `${sign}${change}${change === '–' ? '' : ' %'}`, '100 %', status],
  ]
}

/** London, sensor 1, Mondays, hourly, 9 to 9 h, over all that exists. */
const mondaysAtNine = '/counts?store=London&door=1&by=hour&from=2025-12-24&weekdays=0&hours=9-9'
const answerOf = async (): Promise<Row[]> => {
  const query = 'level=sensor&resolution=hour&store=London&sensor=1&weekday=mon&hours=9'
  const response = await fetch(`${stores.url}/v1/counts?${query}`)
  return ((await response.json()) as { rows: Row[] }).rows
}

describe.skipIf(chromiumPath === undefined)('the view of counts', { timeout: 90_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-counts-'))
    await mkdir(shots, { recursive: true })
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

  it('goes from no store to the Mondays at nine of one door; table, answer and downloads are the same', async () => {
    const { page, complaints, close } = await openPage('/counts')
    const store = page.getByLabel('Store', { exact: true })
    const door = page.getByLabel('Door', { exact: true })
    await page.waitForSelector('.count-pickers')
    expect(await store.inputValue()).toBe('')
    expect(await store.locator('option').first().textContent()).toBe('Choose a store …')
    expect(await door.isDisabled()).toBe(true)

    await store.selectOption('London')
    await until('the doors', () => door.isEnabled())
    expect(await door.inputValue()).toBe('')
    await door.selectOption('1')
    await page.getByRole('radio', { name: 'Hourly' }).check()
    for (const day of ['Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']) {
      await page.getByRole('checkbox', { name: day }).uncheck()
    }
    await page.getByLabel('Last hour').selectOption('9')
    await page.getByRole('radio', { name: 'All' }).check()
    await until('the address', () => page.url() === stores.url + mondaysAtNine)
    await until('the chart is drawn', async () => (await coloursOf(page)) > 5)

    await tab(page, 'Table').click()
    const rows = await answerOf()
    expect(rows).toHaveLength(12)
    await until('the table', async () => (await shownRows(page)).length === rows.length)
    expect(await shownRows(page)).toEqual(rows.map(tableRow).reverse())

    const saved = async (format: string) => {
      const download = page.waitForEvent('download')
      await page.getByRole('link', { name: `Download ${format}` }).click()
      const file = await download
      expect(file.suggestedFilename()).toBe(`counts-sensor-hour.${format.toLowerCase()}`)
      return readFile(await file.path())
    }
    expect((JSON.parse((await saved('JSON')).toString()) as { rows: Row[] }).rows).toEqual(rows)
    const [head = '', ...lines] = (await saved('CSV')).toString().trimEnd().split('\r\n')
    const cells = lines.map(line => Object.fromEntries(line.split(',').map((cell, i) => [head.split(',')[i], cell])))
    const texts = (row: object) =>
      (['date', 'hour', 'count', 'baseline', 'changePercent', 'status'] as const).map(key =>
        String((row as Record<string, unknown>)[key] ?? ''),
      )
    expect(cells.map(texts)).toEqual(rows.map(texts))
    const parquet = await saved('Parquet')
    const columns = await parquetReadObjects({ file: new Uint8Array(parquet).buffer })
    expect(columns.map(row => texts({ ...row, date: (row.date as Date).toISOString().slice(0, 10) }))).toEqual(
      rows.map(texts),
    )
    expect(complaints).toEqual([])
    await close()
  })

  it('is shown the same by its address alone, and keeps to the dates that exist', async () => {
    const { page, complaints, close } = await openPage(`${mondaysAtNine}&tab=table`)
    const rows = await answerOf()
    await until('the table', async () => (await shownRows(page)).length === rows.length)
    expect(await page.getByLabel('Door', { exact: true }).inputValue()).toBe('1')
    const first = page.getByLabel('First day')
    expect([await first.getAttribute('min'), await first.getAttribute('max')]).toEqual(['2025-12-24', '2026-03-18'])
    await first.fill('2026-02-25')
    await until('fewer', async () => (await shownRows(page)).length === 3)
    await page.getByLabel('Last day').fill('2026-03-05')
    await until('one', async () => (await shownRows(page)).length === 1)
    expect(new URL(page.url()).searchParams.get('to')).toBe('2026-03-05')
    expect(complaints).toEqual([])
    await close()
  })

  it('tells how last Saturday went, at a glance and by its hours', async () => {
    const { page, complaints, close } = await openPage('/counts?store=London')
    const link = page.getByRole('link', { name: 'Last Saturday, 14 Mar' })
    await link.waitFor()
    const query = 'resolution=day&store=London&from=2026-03-14&to=2026-03-14'
    const [row] = ((await (await fetch(`${stores.url}/v1/counts?${query}`)).json()) as { rows: Row[] }).rows
    const tile = page.locator('.tile', { has: link })
    await until('its count', async () => (await tile.locator('.tile-count').textContent()) === whole(row?.count ?? 0))
    await link.click()
    await tab(page, 'Table').click()
    await until('eleven hours', async () => (await shownRows(page)).length === 11)
    expect((await shownRows(page)).every(([at]) => at?.startsWith('Sat 14 Mar'))).toBe(true)
    expect(complaints).toEqual([])
    await close()
  })

  it('says of an hour of a door whether it failed, is missing or is as it should be', async () => {
    const { page, complaints, close } = await openPage(
      '/counts?store=London&door=1&by=hour&from=2026-03-10&to=2026-03-11&hours=8-14&tab=table',
    )
    await until('both days', async () => (await shownRows(page)).length === 14)
    const states = new Map((await shownRows(page)).map(row => [row[0], [row[1], row.at(-1)]]))
    expect(states.get('Tue 10 Mar, 13:00')).toEqual(['–', 'measurement failed'])
    expect(states.get('Tue 10 Mar, 12:00')?.[1]).toBe('ok')
    expect(states.get('Wed 11 Mar, 12:00')).toEqual(['–', 'no data'])
    expect(states.get('Wed 11 Mar, 08:00')).toEqual(['–', 'closed'])
    await tab(page, 'Chart').click()
    await page.getByText('How to read this').click()
    expect(await page.locator('.count-explain').textContent()).toContain('The row is kept and adds 0')
    expect(complaints).toEqual([])
    await close()
  })

  it('is used by keyboard alone: tabs, a usual week, others beside it', async () => {
    const { page, complaints, close } = await openPage('/counts?store=London')
    await tab(page, 'Chart').focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    expect(new URL(page.url()).searchParams.get('tab')).toBe('week')
    await page.waitForSelector('.week-heat td.heated')

    const query = 'store=London&from=2026-01-22&to=2026-03-18&weekday=0,1,2,3,4,5'
    const week = (await (await fetch(`${stores.url}/v1/counts/week?${query}`)).json()) as {
      cells: { weekday: number; hour: number; mean: number | null; hours: number }[]
    }
    const cells = await page.locator('.week-heat td').allTextContents()
    const byHour = [...week.cells].sort((a, b) => a.hour - b.hour || a.weekday - b.weekday)
    expect(cells).toEqual(byHour.map(cell => whole(cell.mean ?? 0)))
    await page.locator('.week-heat td[tabindex="0"]').focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowRight')
    const said = await page.locator('.readout').textContent()
    const tuesdayAtTen = week.cells.find(cell => cell.weekday === 1 && cell.hour === 10)
    expect(said).toContain('Tuesday, 10:00–11:00')
    expect(said).toContain(tenth(tuesdayAtTen?.mean ?? 0))
    expect(said).toContain(`mean of ${tuesdayAtTen?.hours} hours`)

    await tab(page, 'Week').focus()
    await page.keyboard.press('End')
    await page.getByText('No other store is chosen').waitFor()
    await page.getByRole('checkbox', { name: 'Paris' }).focus()
    await page.keyboard.press('Space')
    await page.waitForSelector('.chart canvas')
    expect(new URL(page.url()).searchParams.get('with')).toBe('Paris')
    const sums = await page.getByRole('region', { name: 'Sums' }).locator('tbody tr').allTextContents()
    const comparison = (await (
      await fetch(`${stores.url}/v1/compare?store=London,Paris&from=2026-01-22&to=2026-03-18&weekday=0,1,2,3,4,5`)
    ).json()) as { commonPlaces: number; series: { count: number; commonCount: number }[] }
    comparison.series.forEach(({ count, commonCount }, i) => {
      expect(sums[i]).toContain(whole(count) + whole(commonCount))
    })
    expect(await page.locator('#tab-panel').textContent()).toContain(`over the ${comparison.commonPlaces} days`)
    expect(complaints).toEqual([])
    await close()
  })

  it('puts a range beside the weeks before it', async () => {
    const { page, complaints, close } = await openPage('/counts?store=Roma&days=28&tab=compare&against=before')
    await page.waitForSelector('.chart canvas')
    const sums = page.getByRole('region', { name: 'Sums' })
    expect(await sums.locator('tbody th').allTextContents()).toEqual(['19 Feb – 18 Mar', '22 Jan – 18 Feb'])
    expect(await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href')).toContain('against=before')
    expect(complaints).toEqual([])
    await close()
  })

  it('shows a new count of a door by itself', async () => {
    const { page, complaints, close } = await openPage('/counts?store=London&door=1&tab=table')
    await page.waitForSelector('.line.live')
    await page.waitForSelector('tbody tr')
    const today = async () => Number((await shownRows(page))[0]?.[1]?.replaceAll(',', ''))
    const before = await today()
    await stores.visit('London', 70, '1')
    await until('the table', async () => (await today()) === before + 70)
    expect(complaints).toEqual([])
    await close()
  })

  it('fits a phone, in light and dark', async () => {
    for (const [name, viewport, colorScheme] of [
      ['desk', { width: 1280, height: 1000 }, 'light'],
      ['phone', { width: 375, height: 812 }, 'dark'],
    ] as const) {
      const { page, complaints, close } = await openPage('/counts?store=London&with=Paris,Roma', {
        ...{ viewport, colorScheme },
      })
      await page.waitForSelector('.line.live')
      for (const [what, ready] of [
        ['Chart', '.chart canvas'],
        ['Table', 'tbody tr'],
        ['Week', '.week-heat td'],
        ['Compare', '.chart canvas'],
      ] as const) {
        await tab(page, what).click()
        await page.waitForSelector(ready)
        expect(await overflowOf(page), `${name} ${colorScheme} ${what}`).toBe(0)
        await page.screenshot({
          path: join(shots, `counts-${what.toLowerCase()}-${name}-${colorScheme}.png`),
          fullPage: true,
        })
      }
      expect(complaints).toEqual([])
      await close()
    }
  })
})
