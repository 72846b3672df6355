/** The quarantine in a real browser, over a running gateway and cloud: files with faults come in, a person repairs them. */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type House, openHouse, until } from '../programs.ts'
import { writeCloud, writeGateway } from '../store-counts-cases.ts'
import { chromiumPath, openBrowser, openPage as openPageOf, overflowOf } from './browser.ts'

const shots = fileURLToPath(new URL('../../.screenshots', import.meta.url))
const header = 'date;hour;door;count;pressure\n'
const source = `  - id: doors
    kind: drop
    folder: inbox
    stableMs: 100
    pollMsMax: 50
    site: London
    zone: Europe/London
    stream: count
    format:
      kind: csv
      delimiter: ";"
      time: { date: date, hour: hour }
      tags: { device: { column: door } }
      columns: { count: float, pressure: { type: float, unit: mbar } }
`

let house: House
let browser: Browser
const origin = () => `http://127.0.0.1:${house.pagePort}`
const drop = async (name: string, rows: string) => {
  await writeFile(join(house.dir, name), header + rows)
  await rename(join(house.dir, name), join(house.dir, 'inbox', name))
}
const openPage = (path: string, options = {}) => openPageOf(browser, origin(), path, options)
const openCount = async (): Promise<number> => {
  const { groups } = await house.json<{ groups: { open: number }[] }>('/v1/rejects/groups')
  return groups.reduce((sum, group) => sum + group.open, 0)
}
const hours = async (): Promise<unknown[]> => {
  const query = 'store=London&level=sensor&sensor=1&resolution=hour&from=2024-07-01&to=2024-07-01'
  const { rows } = await house.json<{ rows: { hour: number; count: number }[] }>(`/v1/counts?${query}`)
  return rows.map(row => [row.hour, row.count])
}
const toComma = async (page: Page) => {
  await page.getByRole('link', { name: 'column "pressure": "…" is not a number' }).click()
  await page.waitForSelector('.correct')
}

describe.skipIf(chromiumPath === undefined)('the quarantine', { timeout: 90_000 }, () => {
  beforeAll(async () => {
    await mkdir(shots, { recursive: true })
    house = await openHouse()
    house.start('cloud', await writeCloud(house))
    await until('the cloud answers', async () => (await house.get('/health')).ok)
    await mkdir(join(house.dir, 'inbox'))
    house.start('gateway', await writeGateway(house, source))
    const rows = Array.from({ length: 3 }, (_, i) => `2024-07-01;${10 + i};1;${20 + i};1013,2${i}\n`).join('')
    await drop('counts-2024-07-01.csv', `2024-07-01;9;1;19;1013.1\n${rows}`)
    await drop('counts-2024-07-02.csv', '2024-07-02;9;1;30;n/a\n02.07.2024;10;1;31;1012.8\n')
    browser = await openBrowser()
    await until('five rejects', async () => (await openCount()) === 5)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await house?.close()
  })

  it('shows causes with the fault marked, and fits a phone', async () => {
    const { page, complaints, close } = await openPage('/quarantine')
    await page.waitForSelector('.cause')
    const causes = page.locator('.cause')
    expect(await causes.count()).toBe(2)
    const comma = page.locator('.cause', { hasText: 'pressure' })
    expect(await comma.locator('.tag').textContent()).toBe('4 rows')
    expect(await page.locator('.cause', { hasText: 'date' }).locator('mark').textContent()).toBe('02.07.2024')
    expect(await comma.locator('mark').textContent()).toBe('n/a')
    expect(await comma.textContent()).toContain('bench · doors · counts-*.csv · 2 files')
    await page.waitForSelector('.line.live')
    await page.screenshot({ path: join(shots, 'quarantine-light.png') })
    await close()
    const phone = await openPage('/quarantine', { viewport: { width: 375, height: 812 }, colorScheme: 'dark' })
    await phone.page.waitForSelector('.cause')
    expect(await overflowOf(phone.page)).toBe(0)
    await phone.page.screenshot({ path: join(shots, 'quarantine-phone-dark.png') })
    await toComma(phone.page)
    await phone.page.waitForSelector('.preview strong')
    expect(await overflowOf(phone.page)).toBe(0)
    await phone.page.screenshot({ path: join(shots, 'quarantine-fix-phone-dark.png'), fullPage: true })
    expect([...complaints, ...phone.complaints]).toEqual([])
    await phone.close()
  })

  it('corrects a decimal comma: the preview tells, the replay stores, the counts rise', async () => {
    expect(await hours()).toEqual([[9, 19]])
    const { page, complaints, close } = await openPage('/quarantine')
    const other = await openPage('/quarantine')
    await toComma(page)
    await page.getByLabel('What is wrong').selectOption('decimal')
    await page.getByRole('combobox', { name: 'Column' }).selectOption('5')
    await until(
      'a preview',
      async () => (await page.locator('.preview strong').textContent()) === '3 of 4 can be read now',
    )
    expect(new URL(page.url()).searchParams.get('fix')).toBe('{"kind":"decimal","column":5}')
    const first = page.locator('.preview tbody tr').first()
    expect(await first.locator('th').textContent()).toBe('2024-07-01 12:00:00')
    expect((await first.locator('td').allTextContents()).slice(1)).toEqual(['22', '1,013.22'])
    expect(await page.locator('.preview details').textContent()).toContain('1 still fail')
    expect(await openCount()).toBe(5)
    await page.getByLabel('Your name').first().fill('Ada')
    await page.screenshot({ path: join(shots, 'quarantine-fix-light.png'), fullPage: true })
    await page.getByRole('button', { name: 'Replay 3 rows' }).click()
    await page.waitForSelector('[data-said]')
    expect(await page.locator('[data-said]').textContent()).toContain('3 replayed: 3 new rows are in the journal.')
    await until('the counts have risen', async () => (await hours()).length === 4)
    expect(await hours()).toEqual([9, 10, 11, 12].map(hour => [hour, hour + 10]))
    const { totals } = await house.json<{ totals: object }>('/v1/ledger?file=counts-2024-07-01.csv')
    expect(totals).toMatchObject({ rowsRead: 4, rowsStored: 4, rowsRejected: 0 })
    // Another page hears of it by itself.
    const tag = other.page.locator('.cause', { hasText: 'pressure' }).locator('.tag')
    await until('the other page', async () => (await tag.textContent()) === '1 row')
    await page.getByText('Replayed 3').click()
    await until('the replayed rows', async () => (await page.locator('.rows li').count()) === 3)
    expect(await page.locator('.rows').textContent()).toContain('by Ada')
    expect([...complaints, ...other.complaints]).toEqual([])
    await other.close()
    await close()
  })

  it('is worked by the keyboard alone, up to a dismissal with its reason', async () => {
    const before = await openCount()
    const { page, complaints, close } = await openPage('/quarantine', { colorScheme: 'dark' })
    await page.waitForSelector('.cause')
    await page.getByRole('link', { name: /where a time is required/ }).focus()
    await page.keyboard.press('Enter')
    await page.waitForSelector('.dismiss')
    await page.screenshot({ path: join(shots, 'quarantine-dismiss-dark.png'), fullPage: true })
    await page.getByLabel('Reason').focus()
    await page.keyboard.type('a test print')
    await page.keyboard.press('Enter')
    await until('it is dismissed', async () => (await openCount()) === before - 1)
    await page.goto(`${origin()}/quarantine?state=dismissed`)
    await page.waitForSelector('.cause')
    expect(await page.locator('.cause .tag').textContent()).toBe('1 row')
    await page.getByRole('link', { name: /where a time/ }).click()
    await until('the reason', async () => (await page.locator('.rows').textContent())?.includes('a test print'))
    expect(complaints).toEqual([])
    await close()
  })
})
