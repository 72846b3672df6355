/** Tables that are known by the names of their columns: what the names mean beyond what the cells show. */
import { type PresetName, presetOptions } from '../presets.ts'
import { zoneOfCity } from './fields.ts'
import type { Draft, Settings } from './proposal.ts'
import type { Table } from './table.ts'

const isMap = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Visitors by hour and sensor: −1 could not be measured, −2 closed; a row without its count is none. */
const storeCounts = (draft: Draft): Draft => {
  const { columns, time, tags } = draft.format
  if (draft.format.kind !== 'csv' || !isMap(columns) || !isMap(time) || !isMap(tags)) return draft
  const isCounts =
    columns.count !== undefined &&
    time.hour === 'hour' &&
    isMap(tags.site) &&
    isMap(tags.device) &&
    tags.device.column === 'sensor_id'
  if (!isCounts) return draft
  const count = { type: 'int', required: true, status: { '-1': 'failed', '-2': 'closed' } }
  return {
    ...draft,
    stream: 'count',
    format: { ...draft.format, columns: { ...columns, count } },
    doubts: [
      ...draft.doubts,
      {
        path: ['format', 'columns', 'count'],
        text: 'store counts, by the names of the columns: −1 is read as failed, −2 as closed, and a row without a count is a reject',
      },
    ],
    findings: [{ what: 'format', text: 'store counts: date, hour, shop, sensor_id, count' }, ...draft.findings],
  }
}

/** Columns by which the file of a preset is known. */
const presetColumns: readonly [PresetName, readonly string[]][] = [
  ['pmt', ['Time', 'PMT Current (A)', 'ROI Sum', 'Coil (1:ON 0:OFF)']],
  ['gauge', ['Timestamp', 'Rb disp.', 'Neut.']],
  ['coil', ['Time', 'CoilOperation']],
  ['ion', ['Timestamp', 'Fr Beamline', 'FC', 'Center', 'Surrounding']],
  ['store-counts', ['date', 'hour', 'shop', 'sensor_id', 'count', 'units']],
]

const streams: Partial<Record<PresetName, string>> = {
  gauge: 'pressure',
  coil: 'coil',
  ion: 'beam',
  pmt: 'pmt',
  'store-counts': 'count',
}

/** Zones of the shops that the preset does not know; undefined where one is in no zone that is known. */
const shopZones = (table: Table): Settings | undefined => {
  const at = table.names?.cells.indexOf('shop') ?? -1
  const time: unknown = presetOptions('store-counts').time
  const zone = isMap(time) ? time.zone : undefined
  const known = isMap(zone) && isMap(zone.zones) ? zone.zones : {}
  const zones: Settings = {}
  for (const row of table.data) {
    const shop = row.cells[at] ?? ''
    if (shop === '' || shop === 'NULL' || shop in known || shop in zones) continue
    const found = zoneOfCity(shop)
    if (found === undefined) return undefined
    zones[shop] = found
  }
  return zones
}

/** A draft of a preset, where the names of a table are those of one. It stands beside the table's own draft, and the sample decides. */
export const presetDraft = (table: Table, draft: Draft): Draft | undefined => {
  const names = table.names?.cells
  if (!names || table.above.length > 0 || table.units) return undefined
  const found = presetColumns.find(([, columns]) => columns.every(column => names.includes(column)))
  if (!found) return undefined
  const [preset] = found
  const { encoding, delimiter, time } = draft.format
  const zones = preset === 'store-counts' ? shopZones(table) : {}
  if (!zones) return undefined
  return {
    ...draft,
    // Zones that the preset names are not the machine's.
    ...(isMap(time) && time.zone !== undefined && { local: false }),
    stream: streams[preset] ?? draft.stream,
    format: {
      kind: 'csv',
      ...(encoding !== undefined && { encoding }),
      ...(delimiter !== undefined && delimiter !== presetOptions(preset).delimiter && { delimiter }),
      preset,
      ...(Object.keys(zones).length > 0 && { time: { zone: { zones } } }),
    },
    doubts: draft.doubts.filter(doubt => !['columns', 'sameTime', 'tags'].includes(String(doubt.path[1]))),
    findings: [{ what: 'format', text: `the preset ${preset}, by the names of its columns` }, ...draft.findings],
    weight: 2.4,
  }
}

/** What a table's draft gains from what its names mean. */
export const withMeaning = (draft: Draft): Draft => storeCounts(draft)
