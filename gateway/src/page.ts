/** The gateway's own page beside the gateway: what passes goes into memory, and a server shows it as long as the gateway runs. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import type { GatewayConfig } from './config.ts'
import type { Gateway, GatewayLog } from './gateway.ts'
import { createLive, type Live } from './live.ts'

/** Where the built page is: in a package beside the program, in the repository where it is built. */
const webDirs = ['../page', '../../dashboards/gateway/dist'].map(dir => fileURLToPath(new URL(dir, import.meta.url)))

type Shown = Pick<GatewayConfig, 'page' | 'dataDir'>

export interface Page {
  /** For `onBatch` of the gateway. */
  passed: Live['passed']
  /** Shows the page, where the configuration has one, until the signal aborts. Never throws. To be called once. */
  run(config: Shown, gateway: Pick<Gateway, 'snapshot'>, signal: AbortSignal): Promise<void>
  /** Why it is not to be seen, where it should be: for the status. */
  problems(): string[]
  /** Another configuration holds: the page moves where that says. */
  apply(config: Shown): void
}

export const createPage = ({ now, log }: { now(): Date; log: GatewayLog }): Page => {
  const live = createLive({
    nowMs: () => now().getTime(),
    onFailure: error => log.warn({ err: error }, 'what the page shows is incomplete; readings are kept all the same'),
  })
  let shown: Shown | undefined
  let moved = new AbortController()
  let problem: string | undefined

  const show = async (snapshot: Gateway['snapshot'], signal: AbortSignal): Promise<void> => {
    if (!shown?.page) return await aborted(signal)
    // Loaded only now, so that the first reading does not wait for it.
    const { page, dataDir } = shown
    const [{ runPage }, { readSample }] = await Promise.all([import('./page/server.ts'), import('./sample.ts')])
    const uploadDir = join(dataDir, 'looked-at')
    const onProblem = (found: string | undefined) => {
      problem = found
    }
    await runPage({ page, snapshot, live, readSample, webDirs, uploadDir, onProblem, now, log }, signal)
    problem = undefined
    await aborted(signal)
  }

  return {
    passed: live.passed,
    problems: () => (problem === undefined ? [] : [problem]),
    async run(config, { snapshot }, signal) {
      shown = config
      while (!signal.aborted) {
        moved = new AbortController()
        await show(snapshot, AbortSignal.any([signal, moved.signal]))
      }
    },
    apply(config) {
      const same = isDeepStrictEqual(config.page, shown?.page)
      shown = config
      if (!same) moved.abort()
    },
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
