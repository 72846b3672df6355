/** Real files of instruments, where they are at hand: `../shared/data` beside the repository. */
import { existsSync, readFileSync } from 'node:fs'
import { formatNs, rowNs } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { createDecoder, type Decoded, formatSchema } from '../src/index.ts'
import { context } from './decoder.contract.ts'

const data = new URL('../../../../shared/data/', import.meta.url)
const atHand = existsSync(data)
if (!atHand) process.stdout.write('the real sample files are not at hand: their tests are passed over\n')

const decode = (file: string, options: unknown): Decoded => {
  const format = formatSchema.parse(options)
  const decoder = createDecoder(format, context({ zone: 'Asia/Tokyo', frameRowsMax: 8192, recordBytesMax: 65_536 }))
  const decoded = decoder.push(new Uint8Array(readFileSync(new URL(file, data))), true, 1_700_000_000_000_000_000n)
  expect(decoded.rowsRead).toBe(rows(decoded) + decoded.rowsRejected)
  return decoded
}
const rows = (decoded: Decoded) => decoded.frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
const values = (decoded: Decoded, name: string): unknown[] =>
  decoded.frames.flatMap(frame => Array.from(frame.columns.find(c => c.name === name)?.values as ArrayLike<unknown>))
const sum = (decoded: Decoded, name: string) => (values(decoded, name) as number[]).reduce((a, b) => a + b, 0)
const times = (decoded: Decoded) =>
  decoded.frames.flatMap(frame => Array.from(frame.offsetsNs, (_, i) => formatNs(rowNs(frame, i))))
const seconds = 'YYYY/MM/DD HH:mm:ss'

describe.skipIf(!atHand)('real files', () => {
  it('store counts', () => {
    const options = JSON.parse(readFileSync(new URL('fixtures/store-counts.options.json', import.meta.url), 'utf8'))
    const decoded = decode('stores/counts-2024-07.csv', options)
    expect([decoded.rowsRead, rows(decoded), decoded.rowsRejected]).toEqual([28_993, 28_688, 305])
    expect(new Set(decoded.frames.map(f => `${f.site} ${f.device}`)).size).toBe(39)
    const statuses = decoded.frames
      .filter(f => f.columns.some(c => c.name === 'status'))
      .map(f => values({ ...decoded, frames: [f] }, 'status'))
    expect(new Set(statuses.flat())).toEqual(new Set([null, 'failed']))
    const london = decoded.frames.find(f => f.site === 'London' && f.device === '1')
    const monday9 = london
      ? Array.from(london.offsetsNs, (_, i) => formatNs(rowNs(london, i))).indexOf('2024-07-01T08:00:00.000Z')
      : -1
    expect(london?.columns[0]?.values[monday9]).toBe(10_057)
    for (const reject of decoded.rejects) expect(reject.text).toContain('NULL')
  })

  it('gauge', () => {
    const decoded = decode('lab-cns/gauge_short.csv', { kind: 'csv', time: { column: 'Timestamp', layout: seconds } })
    expect(rows(decoded)).toBe(18)
    expect(sum(decoded, 'Rb disp.') / 18).toBeCloseTo(8.9338889e-7, 13)
    expect([
      Math.min(...(values(decoded, 'Neut.') as number[])),
      Math.max(...(values(decoded, 'Neut.') as number[])),
    ]).toEqual([1.334e-6, 1.342e-6])
    expect(decoded.frames[0]?.columns.map(c => c.name)).toEqual([
      'Rb disp.',
      'Neut.',
      'Surf. Ref.',
      'NC1',
      'NC2',
      'NC3',
    ])
    expect(times(decoded)[0]).toBe('2022-03-12T11:32:19.000Z')
  })

  it('PMT', () => {
    const decoded = decode('lab-cns/pmt_short.csv', { kind: 'csv', time: { column: 'Time', layout: `${seconds}.SSS` } })
    expect(rows(decoded)).toBe(18)
    expect(sum(decoded, 'ROI Sum')).toBe(27_007_116)
    expect(values(decoded, 'PMT Current (A)')[0]).toBe(-1.519308e-13)
    const preset = decode('lab-cns/pmt_short.csv', { kind: 'csv', preset: 'pmt' })
    expect([rows(preset), sum(preset, 'ROI Sum'), preset.rowsRejected]).toEqual([18, 27_007_116, 0])
    const named = preset.frames[0]?.columns.map(c => `${c.name} ${c.type} ${c.unit ?? ''}`.trim())
    expect(named).toEqual(['No. int', 'ROI Sum int', 'Coil bool', 'PMT Current float A'])
    expect([values(preset, 'No.').at(-1), values(preset, 'PMT Current')[0]]).toEqual([78, -1.519308e-13])
    expect(times(preset)).toEqual(times(decoded))
  })

  it('presets of gauge, coil, ion beam and store counts', () => {
    const gauge = decode('lab-cns/gauge_short.csv', { kind: 'csv', preset: 'gauge' })
    expect([rows(gauge), gauge.frames[0]?.columns.length]).toEqual([18, 6])
    expect(decode('lab-cns/gauge_short.csv', { kind: 'csv', preset: 'tpg256' }).frames).toEqual(gauge.frames)
    const coil = decode('lab-cns/coil_log.txt', { kind: 'csv', preset: 'coil' })
    expect([rows(coil), values(coil, 'on').filter(v => v).length, new Set(times(coil)).size]).toEqual([32, 17, 32])
    const ion = decode('lab-cns/ion_short.csv', { kind: 'csv', preset: 'ion' })
    expect([rows(ion), ion.frames[0]?.columns.length]).toEqual([18, 33])
    const units = Object.fromEntries(ion.frames[0]?.columns.map(c => [c.name, c.unit]) ?? [])
    expect(units).toMatchObject({ FC: 'nA', 'Be temp': 'degC', 'He press': 'V', Freq: 'kHz', 'Amp(CH1)': 'Vpp' })
    const counts = decode('stores/counts-2024-07.csv', { kind: 'csv', preset: 'store-counts' })
    expect([rows(counts), counts.rowsRejected]).toEqual([28_688, 305])
  })

  it('coil relay', () => {
    const options = {
      kind: 'csv',
      delimiter: 'tab',
      time: { column: 'Time', layout: seconds },
      columns: { on: { from: 'CoilOperation', type: 'bool' } },
      sameTime: 'keep',
    }
    const decoded = decode('lab-cns/coil_log.txt', options)
    expect(values(decoded, 'on').filter(v => v === true).length).toBe(17)
    expect(values(decoded, 'on').filter(v => v === false).length).toBe(15)
    expect(new Set(times(decoded)).size).toBe(32)
    expect(decode('lab-cns/coil_short.txt', options).rowsRejected).toBe(0)
  })

  it('ion beam', () => {
    const decoded = decode('lab-cns/ion_short.csv', { kind: 'csv', time: { column: 'Timestamp', layout: seconds } })
    expect([rows(decoded), decoded.frames[0]?.columns.length]).toEqual([18, 33])
  })

  it('heater', () => {
    const decoded = decode('lab-cns/HeaterLog_20220314_100740_00001.csv', { kind: 'protem' })
    const [target = '', measured = ''] = decoded.frames[0]?.columns.map(c => c.name) ?? []
    expect([target, measured]).toEqual(['マニュアル制御モードの設定値 (SV)', '設定値 (SV) モニタ'])
    const nonZero = (name: string) => (values(decoded, name) as number[]).filter(v => v !== 0).length
    expect([rows(decoded), sum(decoded, target), sum(decoded, measured)]).toEqual([60_000, 865_660, 865_705])
    expect([nonZero(target), nonZero(measured), decoded.finished]).toEqual([25_447, 25_446, true])
    for (const name of [target, measured]) {
      const all = values(decoded, name) as number[]
      expect([Math.min(...all), Math.max(...all)]).toEqual([0, 55])
    }
    expect([times(decoded)[0], times(decoded).at(-1)]).toEqual(['2022-03-14T01:07:41.000Z', '2022-03-14T17:47:47.000Z'])
    // A row a second, but for seven.
    expect(new Set(times(decoded)).size).toBe(60_000)
    expect(decoded.frames[0]?.origin?.attributes?.Title).toBe('ThermoRIKO heater logging test')
    expect(rows(decode('lab-cns/heater_short.csv', { kind: 'protem' }))).toBe(18)
  })

  it('wavemeter', () => {
    const joined = decode('lab-cns/laser_short.lta', { kind: 'lta', frequency: true })
    expect([rows(joined), joined.rowsRejected]).toEqual([18, 0])
    expect(times(joined)[0]).toBe('2022-03-14T23:46:39.880747300Z')
    const first = [780.2459093, 780.24603997, 794.96923484, 718.21633212, 817.0987225, 718.13690806]
    const names = ['Signal 8', 'Signal 1', 'Signal 4', 'Signal 6', 'Signal 3', 'Signal 2']
    expect(names.map(name => values(joined, name)[0])).toEqual(first)
    expect(names.map(name => values(joined, `${name} frequency`)[0])).toEqual(first.map(nm => 299_792.458 / nm))
    const raw = decode('lab-cns/laser_short.lta', { kind: 'lta', rows: 'raw' })
    expect([rows(raw), raw.rowsRead]).toEqual([108, 108])
    expect([values(raw, 'channel')[0], values(raw, 'wavelength')[0]]).toEqual(['Signal 6', 718.21633212])
    expect(raw.frames[0]?.origin?.attributes?.['Frame 6 Caption']).toBe('WSU-4310: Signal 2  Frequency  [THz]')
  })

  it('SSD pulses', () => {
    const decoded = decode('lab-cns/ssd_short.csv', { kind: 'we7000' })
    expect([rows(decoded), decoded.rowsRejected, decoded.finished]).toEqual([18, 0, undefined])
    expect(times(decoded)[0]).toBe('2022-03-14T01:07:54.553786Z')
    expect(values(decoded, 'PulseHeight').at(-1)).toBe(2477)
    expect(decoded.frames[0]?.origin?.attributes?.Model).toBe('WE7562')
    expect(decoded.frames[0]?.columns.some(c => c.name === 'status')).toBe(false)
  })

  it('camera image', () => {
    const decoded = decode('lab-cns/cmos_000039.csv', { kind: 'image-csv' })
    const [image] = decoded.frames[0]?.columns ?? []
    const pixels = image?.type === 'vector' ? (image.values[0] ?? []) : []
    const figure = (name: string) => values(decoded, name)[0]
    expect([rows(decoded), pixels.length, pixels[108 * 228 + 72]]).toEqual([1, 263 * 228, 342])
    expect(['height', 'width', 'min', 'max', 'sum', 'peak_row', 'peak_column'].map(figure)).toEqual([
      263, 228, 0, 342, 1_477_272, 108, 72,
    ])
    expect(figure('mean')).toBeCloseTo(1_477_272 / (263 * 228), 12)
  })

  it('plant messages', () => {
    const decoded = decode('plant/temperature.jsonl', {
      kind: 'jsonl',
      time: {
        column: 'timestamp',
        layout: ['s', 'YYYY-MM-DD HH:mm:ss', 'YYYY/MM/DD HH:mm:ss', 'YYYYMMDDHHmmss'],
        zone: 'UTC',
      },
      tags: { site: { column: 'plant_name' }, device: { column: 'lane_number' }, stream: 'temperature' },
      columns: {
        temperature: { required: true, unit: '°C' },
        component: { type: 'text', from: 'component_info.component_type', required: true },
      },
    })
    const lines = readFileSync(new URL('plant/temperature.jsonl', data), 'utf8')
      .trimEnd()
      .split('\n')
      .map(l => JSON.parse(l))
    const whole = lines.filter(l => l.temperature !== null && l.component_info.component_type !== undefined)
    expect([decoded.rowsRead, rows(decoded)]).toEqual([lines.length, whole.length])
    expect(sum(decoded, 'temperature')).toBeCloseTo(
      whole.reduce((a, l) => a + Number(l.temperature), 0),
      9,
    )
  })

  it('coded lines', () => {
    const decoded = decode('plant/Items.txt', {
      kind: 'lines',
      pattern: [
        '^C(?<digits>\\d+)(?<id>Items-[A-Z]+-\\d{8}-[A-Z]{2})UU-(?<description>.*?)nxklh2022(?<modality>.+?)-(?<letters>[a-z]{3})',
        '0\\.1(?<revision>.*?)\\\\R\\$\\$(?<uom>.*?)plantxi12(?<batch>\\D+?)(?<stamp>\\d{4}.*?|\\d\\d/.*?)(?<serial>[A-Z][a-z]*)k8',
        '(?<shelfLife>.*?)bHM(?<shelfLifeDate>.*?)--(?<msd>.*?)P011(?<category>.*?)MD(?<msl>.*)$',
      ].join(''),
      tags: { device: { column: 'id' }, stream: 'item' },
      columns: { digits: 'text', stamp: 'text', batch: 'text', category: 'text' },
    })
    expect([rows(decoded), decoded.rowsRejected]).toEqual([100, 0])
    for (const stamp of values(decoded, 'stamp'))
      expect(stamp).toMatch(/^(\d{8} \d\d-|\d{4}-\d\d-\d\d \d\d:|\d\d\/\d\d\/\d{4} \d\d:)\d\d[-:]\d\d$/)
  })
})
