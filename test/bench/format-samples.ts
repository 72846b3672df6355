/** Generated files of every format, and how others read them. */
import { parquetRead } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import Papa from 'papaparse'
import { inferSchema, initParser } from 'udsv'
import { read as readWorkbook, utils, write as writeWorkbook } from 'xlsx'
import type { Found } from './formats.bench.ts'

export interface Sample {
  name: string
  file: string
  format: unknown
  largestMB: number
  /** The column that is summed, where it is not the first of numbers. */
  column?: string
  make(bytes: number): Uint8Array
  peer: { name: string; read(bytes: Uint8Array): Found | Promise<Found> }
}

const firstMs = Date.UTC(2024, 0, 1)
const value = (i: number): number => ((i * 7919) % 10_007) * 0.125
const iso = (i: number): string => new Date(firstMs + i * 1000).toISOString()
const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

/** Lines up to a size: the same in every run. */
const lines = (head: string, line: (i: number) => string, tail = ''): Sample['make'] => {
  return bytes => {
    const parts = [head]
    for (let i = 0, written = head.length; written < bytes; i++) {
      const text = line(i)
      parts.push(text)
      written += text.length
    }
    return new Uint8Array(Buffer.from(parts.join('') + tail))
  }
}

/** As one would write it: the text as a whole, its lines, their cells. */
const splitLoop = (skip: number, delimiter: string, take: (cells: string[], found: Found) => void): Sample['peer'] => ({
  name: 'a loop that splits lines',
  read: bytes => {
    const found: Found = { rows: 0, sum: 0 }
    const all = textOf(bytes).split('\n')
    for (let i = skip; i < all.length; i++) if (all[i] !== '') take((all[i] as string).split(delimiter), found)
    return found
  },
})
const add = (found: Found, text: string | number | undefined): void => {
  found.rows++
  found.sum += Number(text)
}

const csvLines = lines('time,a,b,c\n', i => `${iso(i)},${value(i)},${i},${(i % 13) / 8}\n`)
const csvFormat = { kind: 'csv', time: { column: 'time' } }
const csv: Sample[] = [
  {
    name: 'csv',
    file: 'a.csv',
    format: csvFormat,
    largestMB: 40,
    make: csvLines,
    peer: {
      name: 'papaparse',
      read: bytes => {
        const found: Found = { rows: 0, sum: 0 }
        const { data } = Papa.parse<string[]>(textOf(bytes), { fastMode: true, skipEmptyLines: true, delimiter: ',' })
        for (let i = 1; i < data.length; i++) {
          const row = data[i] as string[]
          readTimeAnd(row[0] as string, found, row[1])
        }
        return found
      },
    },
  },
  {
    name: 'csv',
    file: 'a.csv',
    format: csvFormat,
    largestMB: 40,
    make: csvLines,
    peer: {
      name: 'uDSV',
      read: bytes => {
        const found: Found = { rows: 0, sum: 0 }
        const text = textOf(bytes)
        const rows: string[][] = initParser(inferSchema(text)).stringArrs(text)
        for (const [time = '', first] of rows) readTimeAnd(time, found, first)
        return found
      },
    },
  },
]
/** A reading without its time is none: both sides read it. */
const readTimeAnd = (time: string, found: Found, text: string | number | undefined): void => {
  if (Number.isNaN(Date.parse(time))) throw new Error(`"${time}" is no time`)
  add(found, text)
}

const record = (i: number) => ({ time: iso(i), sensor: { id: `s${i % 5}`, value: value(i) }, ok: i % 2 === 0 })
const recordFormat = {
  time: { column: 'time' },
  tags: { device: { column: 'sensor.id' } },
  columns: { value: { from: 'sensor.value' }, ok: 'bool' },
}
type Reading = ReturnType<typeof record>
const json: Sample[] = [
  {
    name: 'jsonl',
    file: 'a.jsonl',
    format: { kind: 'jsonl', ...recordFormat },
    largestMB: 40,
    make: lines('', i => `${JSON.stringify(record(i))}\n`),
    peer: {
      name: 'JSON.parse per line',
      read: bytes => {
        const found: Found = { rows: 0, sum: 0 }
        for (const line of textOf(bytes).split('\n')) {
          if (line === '') continue
          const { time, sensor } = JSON.parse(line) as Reading
          readTimeAnd(time, found, sensor.value)
        }
        return found
      },
    },
  },
  {
    name: 'json',
    file: 'a.json',
    format: { kind: 'json', records: 'data.items', ...recordFormat },
    largestMB: 40,
    make: lines('{"data":{"items":[', i => `${i > 0 ? ',' : ''}\n${JSON.stringify(record(i))}`, ']}}'),
    peer: {
      name: 'JSON.parse of the whole',
      read: bytes => {
        const found: Found = { rows: 0, sum: 0 }
        const { data } = JSON.parse(textOf(bytes)) as { data: { items: Reading[] } }
        for (const { time, sensor } of data.items) readTimeAnd(time, found, sensor.value)
        return found
      },
    },
  },
]

const linePattern = '^(?<time>\\S+) (?<id>\\w+) T=(?<t>-?[\\d.]+) RH=(?<rh>[\\d.]+)$'
const regex: Sample = {
  name: 'lines',
  file: 'a.log',
  format: {
    kind: 'lines',
    pattern: linePattern,
    time: { column: 'time' },
    tags: { device: { column: 'id' } },
    columns: { t: 'float', rh: 'float' },
  },
  largestMB: 40,
  make: lines('', i => `${iso(i)} s${i % 5} T=${value(i)} RH=${i % 100}\n`),
  peer: {
    name: 'a loop with the same pattern',
    read: bytes => {
      const found: Found = { rows: 0, sum: 0 }
      const pattern = new RegExp(linePattern, 'u')
      for (const line of textOf(bytes).split('\n')) {
        const groups = pattern.exec(line)?.groups
        if (groups) readTimeAnd(groups.time as string, found, groups.t)
      }
      return found
    },
  },
}

const parquetFile = (bytes: number, more: object): Uint8Array => {
  const count = Math.floor(bytes / 28)
  const list = <T>(of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i))
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: 'time', data: list(i => new Date(firstMs + i * 1000)), type: 'TIMESTAMP', encoding: 'PLAIN' },
        {
          name: 'a',
          data: Float64Array.from({ length: count }, (_, i) => Math.sin(i)),
          type: 'DOUBLE',
          nullable: false,
          encoding: 'PLAIN',
        },
        {
          name: 'b',
          data: Int32Array.from({ length: count }, (_, i) => i),
          type: 'INT32',
          nullable: false,
          encoding: 'PLAIN',
        },
        { name: 'c', data: list(i => (i % 7 === 0 ? null : value(i))), type: 'DOUBLE', encoding: 'PLAIN' },
        { name: 'device', data: list(i => `d${Math.floor(i / 1000) % 5}`), type: 'STRING' },
      ],
      rowGroupSize: 100_000,
      ...more,
    }),
  )
}
/** The library by itself: all columns of all rows, and the sum of one. */
const rawHyparquet: Sample['peer'] = {
  name: 'hyparquet',
  read: async bytes => {
    const found: Found = { rows: 0, sum: 0 }
    const file = {
      byteLength: bytes.length,
      slice: (from: number, to?: number) => bytes.slice(from, to).buffer as ArrayBuffer,
    }
    await parquetRead({
      file,
      rowFormat: 'array',
      onComplete: rows => {
        for (const row of rows) add(found, row[1])
      },
    })
    return found
  },
}
const parquetFormat = { kind: 'parquet', time: { column: 'time' } }
const parquet: Sample[] = [
  {
    name: 'parquet, snappy, numbers',
    file: 'a.parquet',
    format: { ...parquetFormat, columns: { a: 'float', b: 'int', c: 'float' } },
    largestMB: 40,
    make: bytes => parquetFile(bytes, {}),
    peer: rawHyparquet,
  },
  {
    name: 'parquet, plain, numbers and a device',
    file: 'a.parquet',
    format: {
      ...parquetFormat,
      tags: { device: { column: 'device' } },
      columns: { a: 'float', b: 'int', c: 'float' },
    },
    largestMB: 40,
    make: bytes => parquetFile(bytes, { codec: 'UNCOMPRESSED' }),
    peer: rawHyparquet,
  },
]

const xlsx: Sample = {
  name: 'xlsx (packed)',
  file: 'a.xlsx',
  format: {
    kind: 'xlsx',
    time: { column: 'Time', layout: 'excel' },
    columns: { a: 'float', b: 'int', device: 'text' },
  },
  largestMB: 4,
  make: bytes => {
    const rows: unknown[][] = [['Time', 'a', 'b', 'device']]
    for (let i = 0; i < bytes / 80; i++) rows.push([45_000 + i / 86_400, Math.sin(i), i, `d${i % 5}`])
    const book = { SheetNames: ['data'], Sheets: { data: utils.aoa_to_sheet(rows) } }
    return new Uint8Array(
      writeWorkbook(book, { type: 'buffer', bookType: 'xlsx', compression: true, bookSST: true }) as Buffer,
    )
  },
  peer: {
    name: 'SheetJS',
    read: bytes => {
      const found: Found = { rows: 0, sum: 0 }
      const book = readWorkbook(bytes, { dense: true, cellFormula: false, cellHTML: false, cellText: false })
      const rows = utils.sheet_to_json<unknown[]>(book.Sheets.data as object, { header: 1, raw: true })
      for (let i = 1; i < rows.length; i++) add(found, rows[i]?.[1] as number)
      return found
    },
  },
}

const pad = (n: number, digits = 2): string => String(n).padStart(digits, '0')
const local = (i: number, date: string): string => {
  const at = new Date(firstMs + i * 1000)
  const day = `${at.getUTCFullYear()}${date}${pad(at.getUTCMonth() + 1)}${date}${pad(at.getUTCDate())}`
  return `${day} ${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`
}
const instruments: Sample[] = [
  {
    name: 'we7000',
    column: 'PulseHeight',
    file: 'run-20240101-000000-Slot1-In1.csv',
    format: { kind: 'we7000' },
    largestMB: 40,
    make: lines(
      'Model,WE7562\nTraceName,Time,PulseHeight\n//StartDate,2024/01/01\n//StartTime,00:00:00\n//LLD,500\n//ULD,4031\n//TimeResolution,1.000000e-006\n',
      i => `${i},${i * 137},${500 + (i % 3000)}\n`,
    ),
    peer: splitLoop(7, ',', (cells, found) => {
      found.sum += Number(cells[1]) * 0
      add(found, cells[2])
    }),
  },
  {
    name: 'protem',
    file: 'HeaterLog_20240101_000000_00001.csv',
    format: { kind: 'protem', fileRows: 100_000_000 },
    largestMB: 40,
    make: lines(
      'PROTEM Logging Tool File Format Version.,2\nTitle:,run\nItem No.:,,,65,12\nCh No.:,,,1,1\nItem Name:,,,target,measured\nCh Name:,,,CH 1,CH 1\n',
      i => `${local(i, '/').replace(' ', ',')},00,${i % 55},${(i * 3) % 55}\n`,
    ),
    peer: splitLoop(6, ',', (cells, found) =>
      readTimeAnd(`${(cells[0] as string).replaceAll('/', '-')}T${cells[1]}`, found, cells[3]),
    ),
  },
  {
    name: 'lta',
    file: 'laser.lta',
    format: { kind: 'lta', rows: 'raw' },
    largestMB: 40,
    make: lines(
      'WLMLTAID02\nStartTime\t01.01.2024, 00:00:00.000\n\n[Measurement data]\n26\t0\t1\nTime  [ms]\tSignal 1  Wavelength, vac.  [nm]\tSignal 2  Wavelength, vac.  [nm]\n',
      i => `${(i * 33.5).toFixed(4)}\t${i % 2 === 0 ? `${780 + value(i) / 1e6}\t` : `\t${794 + value(i) / 1e6}`}\n`,
    ),
    peer: splitLoop(6, '\t', (cells, found) => {
      if (Number.isNaN(Number(cells[0]))) throw new Error('no time')
      add(found, cells[1] || cells[2])
    }),
  },
  {
    name: 'oceanview',
    file: 'run_USB4000__0__08-00-00-000.txt',
    format: { kind: 'oceanview' },
    largestMB: 40,
    make: lines(
      `Data from run.txt Node\n\nDate: Mon Jan 01 00:00:00 CET 2024\nNumber of Pixels in Spectrum: 2048\n>>>>>Begin Spectral Data<<<<<\n\t\t${Array.from({ length: 2048 }, (_, k) => (194.638 + k * 0.3).toFixed(3).replace('.', ',')).join('\t')}\n`,
      i =>
        `${local(i, '-')}.000000\t${Array.from({ length: 2048 }, (_, k) => (1000 + ((i + k) % 97)).toFixed(2)).join('\t')}\n`,
    ),
    peer: splitLoop(6, '\t', (cells, found) => {
      found.rows++
      for (let k = 1; k < cells.length; k++) found.sum += Number(cells[k])
    }),
  },
  {
    name: 'image-csv',
    file: 'cmos_20240101.csv',
    format: { kind: 'image-csv', time: { pattern: '(\\d+)', layout: 'YYYYMMDD' } },
    largestMB: 4,
    make: lines('', i => `${Array.from({ length: 1024 }, (_, k) => (i * k) % 343).join(',')}\n`),
    peer: {
      name: 'a loop that splits lines',
      read: bytes => {
        const found: Found = { rows: 1, sum: 0 }
        for (const line of textOf(bytes).split('\n')) {
          if (line !== '') for (const cell of line.split(',')) found.sum += Number(cell)
        }
        return found
      },
    },
  },
]

export const samples: readonly Sample[] = [...csv, ...json, regex, ...parquet, xlsx, ...instruments]
