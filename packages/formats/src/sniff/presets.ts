/** Tables that are known by the names of their columns: what the names mean beyond what the cells show. */
import type { Draft, Settings } from './proposal.ts'

const isMap = (value: unknown): value is Settings => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Visitors by hour and sensor: −1 could not be measured, −2 closed; a row without its count is none. */
const storeCounts = (draft: Draft): Draft => {
  const { columns, time, tags } = draft.format
  if (draft.format.kind !== 'csv' || !isMap(columns) || !isMap(time) || !isMap(tags)) return draft
  const isCounts = columns.count !== undefined && time.hour === 'hour' && isMap(tags.site) && isMap(tags.device) && tags.device.column === 'sensor_id'
  if (!isCounts) return draft
  const count = { type: 'int', required: true, status: { '-1': 'failed', '-2': 'closed' } }
  return {
    ...draft,
    stream: 'count',
    format: { ...draft.format, columns: { ...columns, count } },
    doubts: [
      ...draft.doubts,
      { path: ['format', 'columns', 'count'], text: 'store counts, by the names of the columns: −1 is read as failed, −2 as closed, and a row without a count is a reject' },
    ],
    findings: [{ what: 'format', text: 'store counts: date, hour, shop, sensor_id, count' }, ...draft.findings],
  }
}

export const withPreset = (draft: Draft): Draft => storeCounts(draft)
