/** What a first visit to an address costs: bytes on the line, and how long the browser works. Nothing is cached before. */
import type { Browser, Page } from 'playwright-core'

export interface Transfer {
  /** Compressed, of documents, scripts, styles and pictures; answers of the API are not the page. */
  bytes: number
  requests: number
  /** By Chromium's own account, of the page's main thread. */
  scriptMs: number
  layoutMs: number
  /** From the start of the navigation until `ready` held. */
  readyMs: number
}

const ofThePage = new Set(['Document', 'Script', 'Stylesheet', 'Image', 'Font'])

/**
 * @param ready resolves when the visitor sees what they came for
 * @param slower by how much the browser's processor is held back
 */
export const transferOf = async (
  browser: Browser,
  url: string,
  ready: (page: Page) => Promise<void>,
  slower = 1,
): Promise<Transfer> => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  try {
    const page = await context.newPage()
    const line = await context.newCDPSession(page)
    const kinds = new Map<string, string>()
    let bytes = 0
    let requests = 0
    line.on('Network.responseReceived', ({ requestId, type }) => void kinds.set(requestId, type))
    line.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (!ofThePage.has(kinds.get(requestId) ?? '')) return
      bytes += encodedDataLength
      requests++
    })
    await line.send('Network.enable')
    await line.send('Performance.enable')
    if (slower > 1) await line.send('Emulation.setCPUThrottlingRate', { rate: slower })
    const began = performance.now()
    await page.goto(url)
    await ready(page)
    const readyMs = performance.now() - began
    const { metrics } = await line.send('Performance.getMetrics')
    const ms = (name: string) => (metrics.find(metric => metric.name === name)?.value ?? 0) * 1000
    const layoutMs = ms('LayoutDuration') + ms('RecalcStyleDuration')
    return { bytes, requests, scriptMs: ms('ScriptDuration'), layoutMs, readyMs }
  } finally {
    await context.close()
  }
}
