/** The shop owner's July: the file goes into a running gateway's inbox, and a real browser is led to the five numbers of the specification. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type House, openHouse, sample, until } from '../programs.ts'
import { needsSample, ready, writeCloud, writeGateway } from '../store-counts-cases.ts'
import { chromiumPath, coloursOf, openBrowser, openPage } from './browser.ts'

const july = 'stores/counts-2024-07.csv'
const expected = [
  ['Mon 1 Jul, 09:00', '10,057', '10,057', '±0.0 %'],
  ['Mon 8 Jul, 09:00', '8,720', '9,388.5', '−7.1 %'],
  ['Mon 15 Jul, 09:00', '13,042', '10,606.3', '+23.0 %'],
  ['Mon 22 Jul, 09:00', '10,276', '10,523.8', '−2.4 %'],
  ['Mon 29 Jul, 09:00', '1,102', '8,285', '−86.7 %'],
]

describe.skipIf(chromiumPath === undefined || needsSample(july))('July', { timeout: 120_000 }, () => {
  let house: House
  let browser: Browser
  beforeAll(async () => {
    house = await openHouse()
    const cloud = house.start('cloud', await writeCloud(house))
    await until('the cloud listens', async () => {
      if (!cloud.running()) throw new Error(cloud.output())
      return (await house.get('/health')).ok
    })
    await mkdir(join(house.dir, 'inbox'))
    const source = `  - { id: counts, kind: drop, folder: inbox, stableMs: 100, format: { kind: csv, preset: store-counts } }\n`
    house.start('gateway', await writeGateway(house, `${source}page: false\n`))
    await copyFile(sample(july), join(house.dir, 'inbox', 'counts-2024-07.csv'))
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await house?.close()
  })

  it('shows its five Mondays at nine of London’s sensor 1, and the download says the same', async () => {
    await until(
      'the file is stored',
      async () => {
        const { totals } = await house.json<{ totals: { rowsStored: number } }>('/v1/ledger?source=counts')
        return totals.rowsStored === 28_688
      },
      60_000,
    )
    await ready(house)
    const origin = `http://127.0.0.1:${house.pagePort}`
    const { page, complaints, close } = await openPage(browser, origin, '/counts', { locale: 'en-GB' })
    await page.getByLabel('Store', { exact: true }).selectOption('London')
    const door = page.getByLabel('Door', { exact: true })
    await until('the doors', () => door.isEnabled())
    await door.selectOption('1')
    await page.getByRole('radio', { name: 'Hourly' }).check()
    for (const day of ['Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']) {
      await page.getByRole('checkbox', { name: day }).uncheck()
    }
    await page.getByRole('radio', { name: 'All' }).check()
    await page.getByLabel('First hour').selectOption('9')
    await page.getByLabel('Last hour').selectOption('9')
    await until('the chart is drawn', async () => (await coloursOf(page)) > 5)
    await page.getByRole('tab', { name: 'Table' }).click()
    const shown = async () => {
      const rows = await page.locator('#tab-panel tbody tr').all()
      return Promise.all(
        rows.map(async row => (await row.locator('th, td').allTextContents()).slice(0, 4).map(text => text.trim())),
      )
    }
    const julyRows = async () => (await shown()).filter(row => row[0]?.includes(' Jul, ')).reverse()
    await until('the five rows', async () => JSON.stringify(await julyRows()) === JSON.stringify(expected)).catch(
      async () => expect(await julyRows()).toEqual(expected),
    )
    const href = await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href')
    const csv = await (await fetch(origin + href)).text()
    const [head = '', ...lines] = csv.trimEnd().split('\r\n')
    const at = head.split(',').indexOf('count')
    expect(lines.map(line => Number(line.split(',')[at]))).toEqual([10_057, 8_720, 13_042, 10_276, 1_102])
    expect(complaints).toEqual([])
    await close()
  })
})
