/** Opens the page where it can be had. A page is never a reason to lose a reading: whatever fails here is a warning. */
import { setTimeout as sleep } from 'node:timers/promises'
import { loadWeb, openServer, type WebFiles } from '@penstock/http'
import type { PageConfig } from '../config.ts'
import type { GatewaySnapshot } from '../gateway.ts'
import type { Live } from '../live.ts'
import { createPageApp, type PageAppDeps } from './app.ts'
import { createStateHub, readParts } from './state.ts'
import { createUploads } from './upload.ts'

const limits = {
  changesEveryMs: 1000,
  clientsMax: 16,
  uploadBytesMax: 256 * 1024 * 1024,
  uploadsMax: 2,
  retryMs: 15_000,
}

export interface PageOptions {
  page: PageConfig
  snapshot(): GatewaySnapshot
  live: Live
  readSample: PageAppDeps['readSample']
  /** Folders where the built page may be; the first that holds one. */
  webDirs: readonly string[]
  /** For files that are looked at, for as long as that takes. */
  uploadDir: string
  /** After so long a port that was taken is tried again. Default 15,000. */
  retryMs?: number
  /** Told why the page is not open, and when it is. */
  onProblem(problem: string | undefined): void
  now(): Date
  log: {
    info(o: object, m: string): void
    warn(o: object, m: string): void
    error(o: object, m: string): void
  }
}

/** Serves until the signal aborts. Never throws. */
export const runPage = async (options: PageOptions, signal: AbortSignal): Promise<void> => {
  const { page, snapshot, live, now, log } = options
  const parts = { snapshot, live, zone: page.zone }
  const hub = createStateHub({
    read: () => readParts(parts),
    now,
    everyMs: limits.changesEveryMs,
    clientsMax: limits.clientsMax,
  })
  let files: WebFiles | undefined
  const app = createPageApp({
    ...{ ...options, site: page.site, zone: page.zone, hub, access: page, files: () => files },
    uploads: createUploads({
      folder: options.uploadDir,
      fileBytesMax: limits.uploadBytesMax,
      atOnceMax: limits.uploadsMax,
    }),
  })
  try {
    for (const dir of options.webDirs) files ??= await loadWeb(dir)
    await listen(options, app.fetch, signal)
  } catch (error) {
    if (!signal.aborted) log.warn({ err: error }, 'the page of the gateway has ended; readings are kept all the same')
  } finally {
    hub.close()
  }
}

const listen = async (
  { page, log, onProblem, retryMs = limits.retryMs }: PageOptions,
  fetch: (request: Request, env: object) => Response | Promise<Response>,
  signal: AbortSignal,
): Promise<void> => {
  for (let told = false; !signal.aborted; told = true) {
    try {
      const server = await openServer({ fetch, host: page.host, port: page.port })
      onProblem(undefined)
      log.info({ page: server.url }, 'the page of the gateway is open')
      await aborted(signal)
      await server.close()
      return
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      onProblem(`the page of the gateway is not open: ${reason}`)
      if (!told) log.warn({ reason }, 'the page of the gateway is not open; readings are kept all the same')
      await sleep(retryMs, undefined, { signal }).catch(() => {})
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
