import fc from 'fast-check'
import { createDecoder, type FormatOptions, formatSchema, type Resume } from '../src/index.ts'
import { context, contract, textBytes } from './decoder.contract.ts'

const make = (options: unknown, more = {}) => {
  const format: FormatOptions = formatSchema.parse(options)
  return (resume?: Resume) => createDecoder(format, context(more), resume)
}

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.integer().map(String),
  fc.constantFrom('', 'NULL', '-1', '-2', 'nan', 'x', '1,5', '"3"', ' 4 ', '+5', '.5', '5.', '1e', '1e400'),
)
const minute = fc.integer({ min: 0, max: 180 })
// The night of 27 October 2024: in Berlin 02:00 to 03:00 happens twice; and that of 31 March, when it does not happen.
const local = fc
  .tuple(fc.constantFrom('2024-10-27', '2024-03-31', '2024-02-30'), minute, fc.integer({ min: 0, max: 61 }))
  .map(
    ([day, m, s]) =>
      `${day} ${String(1 + Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}:${String(s).padStart(2, '0')}`,
  )
const device = fc.constantFrom('a', 'b', '"a"', 'NULL', '')
const row = fc
  .tuple(local, device, number, number, fc.constantFrom('on', 'OFF', 'maybe', ''))
  .map(parts => parts.join(','))

contract(
  'csv',
  make({
    kind: 'csv',
    comment: '#',
    nullTexts: ['', 'NULL'],
    time: { column: 'time', layout: ['YYYY-MM-DD HH:mm:ss', 'iso'] },
    tags: { device: { column: 'device' } },
    columns: { x: { type: 'float', status: { '-1': 'failed' } }, y: { type: 'int', required: true }, open: 'bool' },
  }),
  textBytes(row, [
    'time,device,x,y,open\n',
    '\ufefftime,device,x,y,open,\r\n',
    '# made by hand\n\ntime,"device",x,y,open\r',
    '',
  ]),
)

contract(
  'csv without columns, equal times kept',
  make({
    kind: 'csv',
    header: { skip: 1, after: '[data', units: true },
    time: { date: 'day', hour: 'hour' },
    sameTime: 'keep',
  }),
  textBytes(
    fc
      .tuple(fc.constantFrom('2024-10-27', '2024-03-31', 'x'), fc.integer({ min: -1, max: 25 }), number)
      .map(p => p.join(',')),
    ['title\nmore\n[data]\nday,hour,n,n,n\n,,bar,bar\n', '[data]\n[data]\nday,hour,n\n,,V\n', 'title\n'],
  ),
  150,
)

contract(
  'csv without header or time',
  make({ kind: 'csv', header: false, decimal: ',', delimiter: ';' }),
  textBytes(
    fc.array(number, { minLength: 1, maxLength: 4 }).map(p => p.join(';')),
    ['', '\ufeff', '1;2;3\n'],
  ),
  150,
)

const utf16 = textBytes(row, ['time,device,x,y,open\n']).map(bytes => {
  const text = new TextDecoder().decode(bytes)
  return new Uint8Array([0xff, 0xfe, ...Buffer.from(text, 'utf16le')])
})
contract(
  'csv in UTF-16',
  make(
    {
      kind: 'csv',
      time: { column: 'time' },
      tags: { device: { column: 'device' } },
      columns: { x: 'float', open: { type: 'text' } },
    },
    { recordBytesMax: 150 },
  ),
  utf16,
  150,
)

contract(
  'lines',
  make({
    kind: 'lines',
    pattern: '^(?<id>\\w+) T=(?<t>\\S*)(?: at (?<when>.*))?$',
    skip: '^(>|OK)',
    tags: { device: { column: 'id' } },
    columns: { t: 'float', when: 'text' },
  }),
  textBytes(
    fc
      .tuple(fc.constantFrom('a', 'b', 'é'), number, fc.constantFrom('', ' at noon', ' at '))
      .map(([id, t, at]) => `${id} T=${t}${at}`),
    ['', '> read\n', 'OK\r\n'],
  ),
)

contract(
  'jsonl',
  make({
    kind: 'jsonl',
    time: { column: 'when', layout: ['ns', 'YYYY-MM-DD HH:mm:ss'] },
    tags: { device: { column: 'sensor.id' } },
    columns: { t: { type: 'float', from: 'sensor.t', required: true }, raw: 'text' },
  }),
  textBytes(
    fc
      .tuple(
        fc.oneof(local, fc.constant(1_700_000_000_123_456_789n)),
        fc.constantFrom('a', 'b', ''),
        number,
        fc.jsonValue({ maxDepth: 1 }),
      )
      .map(
        ([when, id, t, raw]) =>
          `{"when": ${typeof when === 'bigint' ? when : JSON.stringify(when)}, "sensor": {"id": "${id}", "t": ${JSON.stringify(t)}}, "raw": ${JSON.stringify(raw)}}`,
      ),
    ['', '{}\n', '[]\n', '1\n'],
  ),
)

const pulses = fc
  .tuple(fc.nat(30), fc.nat(3_000_000_000), fc.integer({ min: 400, max: 5000 }))
  .map(parts => parts.join(','))
contract(
  'we7000',
  make({ kind: 'we7000' }),
  textBytes(pulses, [
    'Model,WE7562\nBlockSize,4   \nTraceName,Time,PulseHeight\n//StartDate,2024/10/27\n//StartTime,02:30:00\n//LLD,500\n//ULD,4031\n//TimeResolution,1.000000e-009\n',
    'BlockSize,0\nTraceName,Time,PulseHeight\n//StartDate,2024/10/27\n//StartTime,02:30:00\n//TimeResolution,1.000000e-003\n',
    'Model,WE7562\n',
    '',
  ]),
)

contract(
  'binary',
  make({
    kind: 'binary',
    recordBytes: 11,
    order: 'big',
    tags: { device: { column: 'id', map: { '0': 'a', '1': 'b', '2': 'c' } } },
    fields: [
      { name: 'id', at: 0, type: 'u8', keep: false },
      { name: 'level', at: 1, type: 'i16', scale: 0.1, status: { '-1': 'failed' } },
      { name: 'x', at: 3, type: 'f32' },
      { name: 'n', at: 7, type: 'bcd', bytes: 2 },
      { name: 'code', at: 9, type: 'ascii', bytes: 2 },
    ],
  }),
  fc
    .array(fc.tuple(fc.nat(3), fc.uint8Array({ minLength: 10, maxLength: 10 })), { maxLength: 12 })
    .chain(records =>
      fc.nat(10).map(cut => Buffer.concat(records.flatMap(([id, rest]) => [Buffer.of(id), rest])).subarray(cut)),
    )
    .map(bytes => new Uint8Array(bytes)),
  200,
  false,
)

const protemRow = fc
  .tuple(
    fc.constantFrom('2024/10/27', '2024/03/31', 'x'),
    minute,
    fc.integer({ min: 0, max: 61 }),
    fc.nat(99),
    number,
    number,
  )
  .map(
    ([day, m, s, cs, a, b]) =>
      `${day},0${1 + Math.floor(m / 60)}:${String(m % 60).padStart(2, '0')}:${String(s).padStart(2, '0')},${cs},${a},${b}`,
  )
const protemHead =
  'PROTEM Logging Tool File Format Version.,2\nTitle:,a, b\nItem No.:,,,65,12\nItem Name:,,,T,T\nCh Name:,,,CH 1,"CH, 2"\n'
contract(
  'protem',
  make({ kind: 'protem', fileRows: 4 }),
  textBytes(protemRow, [protemHead, protemHead.replace('.,2', '.,3'), 'Title:,x\n', '']),
)

const ltaHead =
  'WLMLTAID02\nStartTime\t27.10.2024, 02:30:00.387\nMeasurements\t5\n[Frame 1]\nCaption\tx\n[Measurement data]\n26\t0\t1\nTime  [ms]\tSignal 8  Wavelength, vac.  [nm]\tSignal 1  Frequency  [THz]\n'
const ltaRow = fc
  .tuple(
    fc.constantFrom('126.0042', '183.1', '5', '-1.5', 'x', ''),
    fc.constantFrom('', '780.24590930', '-3', '0', 'x', '780,5'),
    fc.constantFrom('', '384.5', '-99'),
  )
  .map(parts => parts.join('\t'))
const ltaTexts = textBytes(ltaRow, [ltaHead, ltaHead.replace('WLM', 'XXX'), 'WLMLTAID02\n', ''])
contract('lta', make({ kind: 'lta', frequency: true }, { recordBytesMax: 200 }), ltaTexts)
contract('lta, raw rows', make({ kind: 'lta', rows: 'raw' }, { recordBytesMax: 200 }), ltaTexts, 150)

const seriesHead =
  'Data from a.txt Node\n\nDate: Sun Oct 27 02:30:12 CEST 2024\nUser: é\nNumber of Pixels in Spectrum: 3\n>>>>>Begin Spectral Data<<<<<\n'
const spectrum = fc
  .tuple(
    local,
    fc.array(fc.constantFrom('1203.5', '65535', '-4', '', 'NaN', 'x', '1,5'), { minLength: 2, maxLength: 5 }),
  )
  .map(([at, values]) => [at, ...values].join('\t'))
contract(
  'oceanview, a series',
  make({ kind: 'oceanview' }),
  textBytes(spectrum, [
    `${seriesHead}\t\t194,5\t195,5\t197\n`,
    `${seriesHead}\t\t194,5\tx\n`,
    seriesHead,
    'User: x\n',
    '',
  ]),
)
contract(
  'oceanview, a single spectrum',
  make({ kind: 'oceanview', saturation: false }),
  textBytes(
    fc
      .tuple(fc.constantFrom('194,5', '195.5', '1e3', 'x'), fc.constantFrom('1', '2.5', 'NaN', '65535', ''))
      .map(parts => parts.join('\t')),
    [
      seriesHead,
      seriesHead.replace('3\n', '5\n'),
      seriesHead.replace(/Number.*\n/, ''),
      seriesHead.replace('CEST', 'XYZ'),
    ],
  ),
)

contract(
  'image-csv',
  make({ kind: 'image-csv' }),
  textBytes(
    fc
      .array(fc.constantFrom('0', '342', '-1.5', '1e3', 'nan', '', 'x'), { minLength: 2, maxLength: 3 })
      .map(cells => cells.join(',')),
    ['1,2\n', '1,2,3\n4,5,6,\r\n', ''],
  ),
)
