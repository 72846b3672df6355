/** How the files below fixtures/tdms were made. */
import { formatNs } from '@penstock/frame'
import type { Read } from './seek-decoder.contract.ts'
import { channelPath, chunkBytes, type Property, plainSegment, segment, type Value, valueBytes } from './tdms-writer.ts'

export const fixtureFolder = new URL('fixtures/tdms/', import.meta.url)

const second = 1_000_000_000n
const noon = 1_696_492_800n * second
const text = (value: string): Property => ({ type: 'string', value })
const double = (value: number): Property => ({ type: 'float64', value })
const wave = (stepSeconds: number, start = noon): Record<string, Property> => ({
  wf_start_time: { type: 'stamp', value: start },
  wf_start_offset: double(0),
  wf_increment: double(stepSeconds),
})

/** A bench that writes value by value: groups one after the other, then all of it again "as before". */
const bench = (): Buffer => {
  const round = (i: number, isFirst: boolean) => {
    const piece = (group: string, channels: [string, 'float64' | 'string', Value][]) => {
      const objects = channels.map(([channel, type, value]) => ({
        path: channelPath(group, channel),
        index:
          type === 'string'
            ? { type, values: 1, bytes: chunkBytes(type, [value]).length }
            : isFirst
              ? { type, values: 1 }
              : ('same' as const),
      }))
      const raw = Buffer.concat(channels.map(([, type, value]) => chunkBytes(type, [value])))
      return segment({ objects: isFirst ? [{ path: channelPath(group), index: 'none' }, ...objects] : objects, raw })
    }
    return Buffer.concat([
      piece('Main Variables', [
        ['Time [s]', 'float64', 15 * i + 0.01],
        ['R1 [ohm]', 'float64', 1e12 + i],
      ]),
      piece('Electrometer', [['Time Stamp', 'string', `10:0${i}:00.00,05-Oct-2023`]]),
      piece('Filtered Resistances [ohm]', [['R1 [ohm]', 'float64', 1e12 + i / 2]]),
    ])
  }
  const properties = { name: text('bench'), 'Nombre Gas': text('CO2') }
  return Buffer.concat([
    segment({ objects: [{ path: '/', index: 'none', properties }] }),
    ...Array.from({ length: 4 }, (_, i) => round(i, i === 0)),
  ])
}

/** Two channels of one card, counted and scaled. */
const daqmx = (big: boolean): Buffer => {
  const widths = [4]
  const scale = (slope: number): Record<string, Property> => ({
    NI_Scaling_Status: text('unscaled'),
    NI_Number_Of_Scales: { type: 'uint32', value: 2 },
    'NI_Scale[1]_Scale_Type': text('Linear'),
    'NI_Scale[1]_Linear_Slope': double(slope),
    'NI_Scale[1]_Linear_Y_Intercept': double(-1),
    'NI_Scale[1]_Linear_Input_Source': { type: 'uint32', value: 0 },
    unit_string: text('Volts'),
    ...wave(0.001),
  })
  const objects = [0, 1].map(i => ({
    path: channelPath('DAQ', `ai${i}`),
    index: { values: 3, scalers: [{ type: 3, buffer: 0, offset: 2 * i, id: 0 }], widths },
    properties: scale(0.5 * (i + 1)),
  }))
  const raw = Buffer.concat(
    [1, -2, 3, 4, 5, -6].map((v, i) => Buffer.concat([valueBytes('int16', v, big), valueBytes('int16', 100 * i, big)])),
  )
  return segment({ objects, raw, big, interleaved: true })
}

/** Its writer stopped within a row. */
const crashed = (): Buffer => {
  const objects = ['Timestamp', 'Pressure [mbar]'].map((channel, i) => ({
    path: channelPath('Log', channel),
    index: { type: i === 0 ? ('stamp' as const) : ('float32' as const), values: 1 },
  }))
  const row = (i: number) =>
    Buffer.concat([valueBytes('stamp', noon + BigInt(i) * second + 123_456_789n), valueBytes('float32', 1.5 + i)])
  return Buffer.concat([
    segment({ objects, open: true, raw: Buffer.concat([0, 1, 2].map(row)) }),
    row(3).subarray(0, 18),
  ])
}

/** Two rates, complex numbers, a quote in a name, both byte orders, a channel that comes late. */
const mixed = (): Buffer => {
  const quoted = "x 'quoted'"
  const fast = (channel: string, type: 'int16' | 'complex64' | 'boolean', values: Value[]) => ({
    group: 'Fast',
    channel,
    type,
    values,
    properties: wave(0.25),
  })
  const slow = { group: 'Slow', channel: 'level', type: 'uint8' as const, values: [7], properties: wave(1) }
  const again = [chunkBytes('int16', [5, 6, 7, 8], true), chunkBytes('complex64', [5, 6, 7, 8], true), Buffer.from([8])]
  return Buffer.concat([
    plainSegment([fast(quoted, 'int16', [1, 2, 3, 4]), fast('z', 'complex64', [1, 2, 3, 4]), slow], {
      big: true,
      version: 4712,
    }),
    segment({ raw: Buffer.concat(again), big: true, version: 4712 }),
    plainSegment([fast(quoted, 'int16', [9]), fast('on', 'boolean', [true])], { interleaved: true }),
  ])
}

/** What cannot be given as it is meant: a thermocouple's scale, a number beyond 2^53. */
const scaleRaw = (): Buffer =>
  plainSegment([
    {
      group: 'Thermo',
      channel: 'T1',
      type: 'int16',
      values: [100, 200],
      properties: {
        NI_Number_Of_Scales: { type: 'uint32', value: 1 },
        'NI_Scale[0]_Scale_Type': text('Thermocouple'),
        unit_string: text('degC'),
        ...wave(1),
      },
    },
    { group: 'Thermo', channel: 'count', type: 'uint64', values: [2n ** 53n + 1n, 12n], properties: wave(1) },
  ])

const benchTime = {
  time: { channel: 'Main Variables/Time [s]', start: '2023-10-05T08:33:00+02:00' },
  rename: { 'Electrometer/Time Stamp': 'instrument_clock' },
}
export const fixtures: Record<string, { bytes: Buffer; options: object }> = {
  'bench-groups': { bytes: bench(), options: benchTime },
  'bench-joined': { bytes: bench(), options: { rows: 'file', ...benchTime } },
  'daqmx-little': { bytes: daqmx(false), options: {} },
  'daqmx-big': { bytes: daqmx(true), options: {} },
  crashed: { bytes: crashed(), options: {} },
  mixed: { bytes: mixed(), options: {} },
  'not-scaled': { bytes: scaleRaw(), options: {} },
}

/** As it stands in the expected file: times as text, one row a line. */
export const plain = (read: Read): unknown => ({
  ...read,
  series: Object.fromEntries(
    Object.entries(read.series).map(([key, { columns, rows }]) => [
      key,
      { columns, rows: rows.map(([time, ...values]) => [formatNs(time as bigint), ...values]) },
    ]),
  ),
})
