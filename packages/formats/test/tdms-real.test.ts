/** Real TDMS files, where they are at hand: `../shared/data` beside the repository. */
import { existsSync, readFileSync } from 'node:fs'
import { formatNs } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { createFileDecoder, formatSchema, type Resume, type SeekDecoder } from '../src/index.ts'
import { context } from './decoder.contract.ts'
import { type MakeSeeking, type Read, readGrowing, readWhole } from './seek-decoder.contract.ts'

const data = new URL('../../../../shared/data/', import.meta.url)
const atHand = existsSync(data)
if (!atHand) process.stdout.write('the real sample files are not at hand: their tests are passed over\n')

const bytesOf = (file: string) => new Uint8Array(readFileSync(new URL(encodeURI(file), data)))
const make = (file: string, options: object = {}): MakeSeeking => {
  const format = formatSchema.parse({ kind: 'tdms', ...options })
  const own = context({ file, stream: 'bench', zone: 'Europe/Madrid', frameRowsMax: 8192 })
  return (resume?: Resume) => createFileDecoder(format, own, resume) as SeekDecoder
}
const read = (file: string, options?: object): Promise<Read> => readWhole(make(file, options), bytesOf(file))
const values = (from: Read, stream: string, column: string): unknown[] => {
  const { columns = [], rows = [] } = from.series[stream] ?? {}
  const i = columns.findIndex(c => c.replace(/:\w+(?: \[[^[\]]*\])?$/, '') === column)
  expect(i, `${stream} ${column}`).toBeGreaterThanOrEqual(0)
  return rows.map(row => row[i + 1])
}
const sum = (from: Read, stream: string, column: string): number =>
  (values(from, stream, column) as number[]).reduce((a, b) => a + b, 0)
const times = (from: Read, stream: string): string[] =>
  (from.series[stream]?.rows ?? []).map(row => formatNs(row[0] as bigint))

const main = 'lab-gas/C2_CO2_50%HR_LedL365A oct.-05-23 Time 0833.tdms'
const responses = 'lab-gas/C2_CO2_50%HR_LedL365A Respuestas oct.-05-23 Time 0833.tdms'
const clock = {
  time: { channel: 'Main Variables/Time [s]', start: { file: "MMM-DD-YY 'Time' HHmm" } },
  rename: { 'Electrometer/Time Stamp': 'instrument_clock' },
}

describe.skipIf(!atHand)('real TDMS files', () => {
  it('raw1: DAQmx, scaled', async () => {
    const got = await read('tdms/raw1.tdms')
    const stream = got.series['Layer Data']
    expect(stream?.columns).toHaveLength(7)
    expect(stream?.columns[0]).toBe('First  Channel:float [Volts]')
    expect(stream?.rows).toHaveLength(2000)
    expect(values(got, 'Layer Data', 'First  Channel')[0]).toBeCloseTo(-0.184026612, 9)
    expect(sum(got, 'Layer Data', 'First  Channel')).toBeCloseTo(129.416486, 6)
    expect(times(got, 'Layer Data').slice(0, 2)).toEqual(['2016-12-15T22:35:21.000Z', '2016-12-15T22:35:21.000020Z'])
  })

  it('Digital_Input: three groups of one name of channel at three rates', async () => {
    const got = await read('tdms/Digital_Input.tdms')
    const found = Object.entries(got.series).map(([name, { rows }]) => [
      name.replace(/^.*- /, ''),
      rows.length,
      sum(got, name, 'Dev1_port3_line7 - line 0'),
      formatNs((rows[1]?.[0] as bigint) - (rows[0]?.[0] as bigint)),
    ])
    expect(found).toEqual([
      ['All Data', 20_000, 10_000, '1970-01-01T00:00:00.000500Z'],
      ['Decimated Data_Level1', 400, 200, '1970-01-01T00:00:00.025Z'],
      ['Decimated Data_Level2', 8, 4, '1970-01-01T00:00:01.250Z'],
    ])
  })

  it('IncrementalMetaInformation: two chunks in a segment, no time', async () => {
    const got = await read('tdms/IncrementalMetaInformation.tdms')
    expect(values(got, 'group', 'channel1')).toEqual([1, 2, 3, 1, 2, 3])
    expect(values(got, 'group', 'channel2')).toEqual([4, 5, 6, 4, 5, 6])
    expect(values(got, 'group', 'index')).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('AdditionalProperties: version 4712, channels of different lengths', async () => {
    const got = await read('tdms/AdditionalProperties.tdms')
    expect(Object.entries(got.series).map(([name, { columns, rows }]) => [name, columns.length, rows.length])).toEqual([
      ['Z Sweep Data', 4, 321],
      ['Z Sweep Data/Re (Ohms)', 1, 1],
    ])
    expect(sum(got, 'Z Sweep Data', 'Freq (Hz)')).toBeCloseTo(837_441.612004, 6)
  })

  it('C2: groups keep their channels; one time channel serves them all', async () => {
    const got = await read(main, clock)
    expect(Object.values(got.series).map(({ rows }) => rows.length)).toEqual(new Array(7).fill(1081))
    expect(Object.values(got.series).reduce((n, { columns }) => n + columns.length, 0)).toBe(37)
    const expected: [string, string, number][] = [
      ['Main Variables', 'R1 [ohm]', 2.87932062388e14],
      ['Main Variables', 'R2 [ohm]', 6.10431480561e14],
      ['Main Variables', 'R3 [ohm]', 3.05407950593e14],
      ['Main Variables', 'R4 [ohm]', 1.63456881816e14],
      ['Filtered Resistances [ohm]', 'R1 [ohm]', 9.46955817668e13],
      ['Main Variables', '[Botella 2-CO2] [ppbv]', 89_946_000],
      ['GMU6', 'C2 Flow [ml/min]', 9011.1],
      ['GMU6', 'Total flow [ml/min]', 108_098.9],
    ]
    for (const [stream, column, total] of expected) {
      expect(Math.abs(sum(got, stream, column) / total - 1), column).toBeLessThan(1e-11)
    }
    for (const stream of Object.keys(got.series)) {
      const all = times(got, stream)
      expect([all[0], all.at(-1)]).toEqual(['2023-10-05T06:33:00.009994507Z', '2023-10-05T11:02:54.843580723Z'])
    }
    expect(values(got, 'Electrometer', 'instrument_clock').slice(0, 2)).toEqual([
      '10:02:51.00,05-Oct-2023',
      '10:03:00.00,05-Oct-2023',
    ])
    expect(values(got, 'Electrometer', 'Temperature [ºC]').slice(0, 3)).toEqual([2, 10, 18])
  })

  it.each(['group', 'file'] as const)(
    'C2, tailed as it grows, gives what the whole file gives: rows by %s',
    async rows => {
      const bytes = bytesOf(main)
      const decoder = make(main, { ...clock, rows })
      const whole = await readWhole(decoder, bytes)
      // Through the first rounds at every few bytes, then at places that fall anywhere.
      const early = Array.from({ length: 400 }, (_, i) => 17 * i)
      const late = Array.from({ length: 60 }, (_, i) => 7000 + Math.floor(((i * 7919) % 61) * (bytes.length / 61)))
      expect(await readGrowing(decoder, bytes, [...early, ...late])).toEqual(whole)
      expect(
        await readGrowing(decoder, bytes, early, [...early.filter((_, i) => i % 10 === 0), ...late.slice(0, 5)]),
      ).toEqual(whole)
    },
  )

  it('Respuestas: timestamps of one group serve the others', async () => {
    const got = await read(responses)
    expect(Object.entries(got.series).map(([name, { columns }]) => [name, columns.length])).toEqual([
      ['Concentrations', 2],
      ['Responses', 8],
    ])
    expect(values(got, 'Concentrations', 'Gas [ppbv]')).toEqual([100_000, 200_000, 300_000, 400_000, 499_100])
    const all = times(got, 'Responses')
    expect([all[0], all.at(-1)]).toEqual(['2023-10-05T07:33:09.360526562Z', '2023-10-05T10:33:09.361461639Z'])
    const joined = await read(responses, { rows: 'file' })
    expect(joined.series.bench?.columns).toHaveLength(10)
    expect(joined.series.bench?.rows).toHaveLength(5)
  })
})
