/**
 * Options of `csv` for files of instruments that many have: data, not code. `format: { kind: csv, preset: pmt }` takes
 * them; what stands beside `preset` wins, key by key.
 */
import type { Json } from '@penstock/frame'

type Preset = { readonly [key: string]: Json }

const seconds = 'YYYY/MM/DD HH:mm:ss'
const gauge: Preset = { time: { column: 'Timestamp', layout: seconds } }

const presets = {
  /** Photomultiplier run: number of the camera frame, current, sum over a region of the image, coil. */
  pmt: {
    header: { unitsInNames: true },
    time: { column: 'Time', layout: `${seconds}.SSS` },
    columns: {
      'No.': { type: 'int', optional: true },
      'ROI Sum': { type: 'int', optional: true },
      Coil: { from: 'Coil (1:ON 0:OFF)', type: 'bool', optional: true },
    },
    otherColumns: 'float',
  },
  /** Vacuum gauges of a TPG256 controller; equal names of inputs are numbered (NC1, NC2, NC3). */
  gauge,
  tpg256: gauge,
  /** Relay log: ON and OFF, several in one second. */
  coil: {
    delimiter: 'tab',
    time: { column: 'Time', layout: seconds },
    columns: { on: { from: 'CoilOperation', type: 'bool' } },
    sameTime: 'keep',
  },
  /** Ion-beam log: every column a number, its unit in its name; a relay makes spikes in the Faraday cup's current. */
  ion: {
    header: { unitsInNames: true },
    time: { column: 'Timestamp', layout: seconds },
    columns: { FC: { unit: 'nA', optional: true, limits: { max: 200_000, status: 'spike' } } },
    otherColumns: 'float',
  },
  /** Visitors by hour and door sensor; local times of the city, −1 failed, −2 closed. */
  'store-counts': {
    time: {
      date: 'date',
      hour: 'hour',
      zone: {
        by: 'shop',
        zones: {
          Madrid: 'Europe/Madrid',
          Paris: 'Europe/Paris',
          Berlin: 'Europe/Berlin',
          Roma: 'Europe/Rome',
          London: 'Europe/London',
        },
      },
    },
    tags: { site: { column: 'shop' }, device: { column: 'sensor_id' }, stream: 'count' },
    nullTexts: ['', 'NULL'],
    columns: {
      count: { type: 'int', required: true, status: { '-1': 'failed', '-2': 'closed' } },
      units: 'text',
    },
  },
} as const satisfies Record<string, Preset>

export type PresetName = keyof typeof presets
export const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]]

/** The options of a preset, without `kind`. */
export const presetOptions = (name: PresetName): Preset => presets[name]

const isMap = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a key says where it stands in `own` and in the preset. Time by other columns is another time, not a change of it. */
const merged = (key: string, own: unknown, preset: unknown): unknown => {
  if (!isMap(own) || !isMap(preset)) return own
  if (key === 'time' && ('column' in own || 'date' in own || 'columns' in own)) return own
  const all: Record<string, unknown> = { ...preset }
  for (const [k, value] of Object.entries(own)) all[k] = k in preset ? merged(k, value, preset[k]) : value
  return all
}

/** Options of a format as written, with those of their preset where they name one. */
export const withPreset = (options: unknown): unknown => {
  if (!isMap(options) || options.kind !== 'csv' || typeof options.preset !== 'string') return options
  const name = options.preset
  return Object.hasOwn(presets, name) ? merged('format', options, presetOptions(name as PresetName)) : options
}
