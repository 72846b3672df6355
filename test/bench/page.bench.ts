/**
 * The page as a visitor meets it, in Chromium, with nothing cached: bytes of the first load, the time until the view shows
 * its data (for counts: until the chart is drawn), and how long scripts and layout kept the browser busy. The same once
 * more on a processor four times slower, as Lighthouse measures phones.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { until } from '../programs.ts'
import { chromiumPath, coloursOf, openBrowser } from '../web/browser.ts'
import { openFiveStores } from '../web/five-stores.ts'
import { type Transfer, transferOf } from '../web/transfer.ts'

const webDir = fileURLToPath(new URL('../../dashboards/web/dist', import.meta.url))
const runs = 5
const slower = 4
const firstLoadBytesMax = 150_000

const settled = async (page: Page): Promise<void> => {
  await page.locator('main :is(h1, .notice)').first().waitFor()
  await page.locator('main .skeleton').first().waitFor({ state: 'detached' })
}
const drawn = async (page: Page): Promise<void> => {
  await page.locator('.chart canvas').first().waitFor()
  await until('the chart is drawn', async () => (await coloursOf(page)) > 5)
}
const visits: readonly [name: string, path: string, ready: (page: Page) => Promise<void>][] = [
  ['overview', '/', settled],
  ['counts, first chart', '/counts?store=London', drawn],
  ['instruments', '/instruments', settled],
  ['gateways', '/gateways', settled],
  ['gaps', '/gaps', settled],
  ['quarantine', '/quarantine', settled],
  ['API', '/reference', settled],
]

export const benchPage = async (print: (line: string) => void): Promise<void> => {
  if (chromiumPath === undefined) return print('page: no chromium here')
  const dir = await mkdtemp(join(tmpdir(), 'penstock-page-bench-'))
  const now = () => new Date()
  const stores = await openFiveStores({ webDir, recordsFile: join(dir, 'records.duckdb'), weeks: 12, now })
  const browser = await openBrowser()
  try {
    for (const [name, path, ready] of visits) {
      for (const factor of [1, slower]) {
        const times: Transfer[] = []
        for (let i = 0; i < runs; i++) times.push(await transferOf(browser, stores.url + path, ready, factor))
        print(lineOf(name, factor, times))
      }
    }
  } finally {
    await browser.close()
    await stores.close()
    await rm(dir, { recursive: true, force: true })
  }
}

const lineOf = (name: string, factor: number, visits: readonly Transfer[]): string => {
  const median = (pick: (visit: Transfer) => number): string =>
    (visits.map(pick).sort((a, b) => a - b)[visits.length >> 1] ?? 0).toFixed(0)
  const bytes = Math.max(...visits.map(visit => visit.bytes))
  const size = `${(bytes / 1000).toFixed(1)} kB in ${visits[0]?.requests} requests (${((100 * bytes) / firstLoadBytesMax).toFixed(0)} % of 150 kB)`
  const where = factor === 1 ? '' : `, processor ${factor} × slower`
  const times = `shown after ${median(v => v.readyMs)} ms, scripts ${median(v => v.scriptMs)} ms, layout ${median(v => v.layoutMs)} ms`
  return `page: ${name}${where}: ${times}${factor === 1 ? `; first load ${size}` : ''}`
}
