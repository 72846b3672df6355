/** The gateway's own page beside the gateway: what passes goes into memory, and a server shows it as long as the gateway runs. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { GatewayConfig } from './config.ts'
import type { Gateway, GatewayLog } from './gateway.ts'
import { createLive, type Live } from './live.ts'

/** Where the built page is: in a package beside the program, in the repository where it is built. */
const webDirs = ['../page', '../../dashboards/gateway/dist'].map(dir => fileURLToPath(new URL(dir, import.meta.url)))

export interface Page {
  /** For `onBatch` of the gateway. */
  passed: Live['passed']
  /** Shows the page, where the configuration has one, until the signal aborts. Never throws. */
  run(
    config: Pick<GatewayConfig, 'page' | 'dataDir'>,
    gateway: Pick<Gateway, 'snapshot'>,
    signal: AbortSignal,
  ): Promise<void>
}

export const createPage = ({ now, log }: { now(): Date; log: GatewayLog }): Page => {
  const live = createLive({
    nowMs: () => now().getTime(),
    onFailure: error => log.warn({ err: error }, 'what the page shows is incomplete; readings are kept all the same'),
  })
  return {
    passed: live.passed,
    async run({ page, dataDir }, { snapshot }, signal) {
      if (!page) return
      // Loaded only now, so that the first reading does not wait for it.
      const [{ runPage }, { readSample }] = await Promise.all([import('./page/server.ts'), import('./sample.ts')])
      const uploadDir = join(dataDir, 'looked-at')
      await runPage({ page, snapshot, live, readSample, webDirs, uploadDir, now, log }, signal)
    },
  }
}
