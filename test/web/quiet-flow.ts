/** The watch over the way of a reading, for worlds in one process in which every projection has all that came. */
import { type AppDeps, type FlowWatch, gatewayView, openFlow } from '@penstock/cloud'

/** @param deps asked when it looks, so that it may be made before them */
export const openQuietFlow = (
  deps: () => Omit<AppDeps, 'flow'> & { live: { attention(data: string): void } },
): FlowWatch => {
  const lastSeq = () => deps().journalStats().nextSeq - 1
  return openFlow({
    ...{ now: () => deps().now().getTime(), everyMs: 1000, behindEntriesMax: 1000, log: { warn: () => {} } },
    gateways: () =>
      deps()
        .live.gateways()
        .map(gateway => gatewayView(gateway, deps())),
    broker: () => ({ connections: 2, connected: true }),
    ingest: () => ({ envelopes: lastSeq(), duplicates: 0, invalid: 0, rows: 40 * lastSeq(), queuedBytes: 0 }),
    journal: () => deps().journalStats(),
    projections: () =>
      ['historian', 'rollup', 'records', 'live'].map(name => ({ name, applied: lastSeq(), last: lastSeq() })),
    disk: async () => undefined,
    rejectsSince: ms => deps().evidence.rejectsSince(ms),
    onAttention: items => deps().live.attention(JSON.stringify({ items })),
  })
}
