/**
 * What holds for every view, those of tomorrow too: no serious fault that axe finds, in light, dark and on a phone; nothing
 * asked of another origin; nothing on the console; as wide as the window; a first load of 150 kB at most.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pageViews } from '@penstock/cloud'
import type { AxeResults } from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../programs.ts'
import { buildPage, chromiumPath, openBrowser, openPage, overflowOf } from './browser.ts'
import { type FiveStores, openFiveStores } from './five-stores.ts'
import { transferOf } from './transfer.ts'

const startedMs = performance.now()
const now = () => new Date(Date.parse('2026-03-18T14:25:00Z') + performance.now() - startedMs)
const firstLoadBytesMax = 150_000

const views = [
  '/',
  ...pageViews,
  '/counts?store=London',
  '/gaps?site=London&as=table',
  '/reference?op=post+/v1/readings',
]
/** Both widths and both themes; colours do not depend on the width. */
const looks: Record<string, BrowserContextOptions> = {
  desk: {},
  phone: { colorScheme: 'dark', viewport: { width: 375, height: 812 }, hasTouch: true },
}

let dir: string
let stores: FiveStores
let browser: Browser
let axe: string

/** What axe calls serious or worse, with the elements. */
const faultsOf = async (page: Page): Promise<string[]> => {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<AxeResults>('axe.run({ resultTypes: ["violations"] })')
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(node => `${node.target} (${node.failureSummary})`).join('; ')}`)
}

const settled = async (page: Page): Promise<void> => {
  await page.locator('main :is(h1, .notice)').first().waitFor()
  await until('nothing is being loaded', async () => (await page.locator('main .skeleton').count()) === 0)
}

describe.skipIf(chromiumPath === undefined)('every view', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-views-'))
    await buildPage(join(dir, 'dist'))
    stores = await openFiveStores({
      ...{ webDir: join(dir, 'dist'), recordsFile: join(dir, 'records.duckdb'), weeks: 4, now },
    })
    browser = await openBrowser()
    axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  })
  afterAll(async () => {
    await browser?.close()
    await stores?.close()
    if (dir) await rm(dir, { recursive: true, force: true })
  })

  it.each(views)('%s is for everybody, and keeps to itself', async path => {
    for (const [name, look] of Object.entries(looks)) {
      const { page, complaints, close } = await openPage(browser, stores.url, path, {
        ...{ reducedMotion: 'reduce', now: now(), ...look },
      })
      await settled(page)
      expect(await faultsOf(page), name).toEqual([])
      expect(await overflowOf(page), name).toBe(0)
      expect(complaints, name).toEqual([])
      await close()
    }
  })

  it('is told of a fault that is there', async () => {
    const { page, close } = await openPage(browser, stores.url, '/gaps', { now: now() })
    await settled(page)
    await page.evaluate('document.querySelector("main").append(document.createElement("button"))')
    expect((await faultsOf(page)).join()).toContain('button-name')
    await close()
  })

  it.each(views)('%s loads at most 150 kB', async path => {
    const { bytes } = await transferOf(browser, stores.url + path, settled)
    expect(bytes).toBeGreaterThan(5000)
    expect(bytes).toBeLessThanOrEqual(firstLoadBytesMax)
  })

  it('is tried in the reference: by keyboard, an answer, an address that leads back', async () => {
    const { page, complaints, close } = await openPage(browser, stores.url, '/reference')
    await page.getByRole('link', { name: 'get /v1/sites' }).press('Enter')
    await page.getByRole('combobox', { name: 'kind' }).selectOption('lab')
    await page.getByRole('button', { name: 'Send' }).press('Enter')
    await page.getByText('200 OK').waitFor()
    expect(JSON.parse((await page.getByRole('region', { name: 'Body of the answer' }).textContent()) ?? '')).toEqual({
      sites: [],
    })
    expect(new URL(page.url()).search).toBe('?op=get+%2Fv1%2Fsites&p.kind=lab')
    await page.reload()
    expect(await page.getByRole('combobox', { name: 'kind' }).inputValue()).toBe('lab')
    expect(await page.getByRole('region', { name: 'The same with curl' }).textContent()).toBe(
      `curl '${stores.url}/v1/sites?kind=lab'`,
    )
    await page.goto(`${stores.url}/reference?op=get+/v1/rejects/{id}`)
    const send = page.getByRole('button', { name: 'Send' })
    expect(await send.isDisabled()).toBe(true)
    await page.getByRole('textbox', { name: 'id' }).fill('1.0')
    await send.click()
    await page.getByText('404 Not Found').waitFor()
    expect(page.url()).toContain('p.id=1.0')
    // The browser says each answer of 400 and above on the console.
    expect(complaints.splice(0).join()).toContain('404')
    await page.goto(`${stores.url}/reference?op=get+/v1/events`)
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('retry: 2000').waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Stopped here.').waitFor()
    expect(complaints).toEqual([])
    await close()
  })
})
