/** A sample's report as a person reads it: tables of first rows, rejects with their places, totals. */
import type { Proposal } from '@penstock/formats'
import type { Reject } from '@penstock/frame'
import type { SampleReport, SampleRow, SampleStream, SampleValue } from '../sample.ts'
import { renderTable, shorten, type TableColumn, tableFits, visible, wrapText } from './table.ts'

const valueCharsMin = 9
const rejectCharsMax = 200
const rejectsPerKindMax = 3
const rejectKindsMax = 8
const columnsShownMax = 60

export const countText = (n: number, what: string): string =>
  `${n.toLocaleString('en-US')} ${n === 1 ? what : `${what}s`}`

export const bytesText = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let [amount, unit] = [bytes, 0]
  while (amount >= 1024 && unit < units.length - 1) [amount, unit] = [amount / 1024, unit + 1]
  return `${unit === 0 ? amount : amount.toFixed(amount < 10 ? 1 : 0)} ${units[unit]}`
}

/** "18 rows, 2 of them rejected, in 5 ms (3,600 rows/s, 1.2 MiB/s)". */
export const totalsText = (
  report: Pick<SampleReport, 'rowsRead' | 'rowsRejected' | 'ms'> & { bytesRead?: number },
): string => {
  const { rowsRead, rowsRejected, bytesRead, ms } = report
  const perSecond = 1000 / Math.max(1, ms)
  const rate = [
    `${Math.round(rowsRead * perSecond).toLocaleString('en-US')} rows/s`,
    ...(bytesRead === undefined ? [] : [`${bytesText(bytesRead * perSecond)}/s`]),
  ]
  const rejected = rowsRejected > 0 ? `, ${rowsRejected.toLocaleString('en-US')} of them rejected` : ', none rejected'
  return `${countText(rowsRead, 'row')}${rowsRead > 0 ? rejected : ''}, in ${ms} ms (${rate.join(', ')})`
}

/** What was found in a sniffed file, and how sure that is. */
export const findingLines = ({ findings, confidence }: Proposal, width: number | undefined): string[] => {
  const all = [...findings, { what: 'confidence', text: `${Math.round(confidence * 100)} %` }]
  const chars = Math.max(...all.map(({ what }) => what.length))
  return all.flatMap(({ what, text }) => wrapText(`  ${what.padEnd(chars)}  ${text}`, width, ' '.repeat(chars + 4)))
}

/** Each of the streams under an empty line, the first `streamsMax` of them. */
export const streamsLines = (
  streams: readonly SampleStream[],
  streamsMax: number,
  width: number | undefined,
): string[] => [
  ...streams.slice(0, streamsMax).flatMap(stream => ['', ...streamLines(stream, width)]),
  ...(streams.length > streamsMax ? ['', `and ${countText(streams.length - streamsMax, 'more stream')}`] : []),
]

/** One stream: what it is, and its first rows as they would be stored. */
const streamLines = (stream: SampleStream, width: number | undefined): string[] => {
  const { site, device, rows, columns, first, firstTime, lastTime } = stream
  const span = firstTime === undefined || lastTime === undefined ? '' : `, ${firstTime} to ${lastTime}`
  const title = `${site}/${device}/${stream.stream}: ${countText(rows, 'row')} of ${countText(columns.length, 'column')}${span}`
  return [...wrapText(title, width, '  '), ...rowsTable(stream, first, width)]
}

const rowsTable = (stream: SampleStream, rows: SampleRow[], width: number | undefined): string[] => {
  if (rows.length === 0) return []
  const { columns, zone } = stream
  const times = timesOf(rows)
  const isUtc = zone === 'UTC' || zone === 'Etc/UTC'
  const cells = rows.map((row, i) => [
    times.local[i] ?? '',
    ...(isUtc ? [] : [times.utc[i] ?? '']),
    ...row.values.map(valueText),
    row.status ?? 'ok',
  ])
  const timeChars = Math.max(...times.local.map(text => text.length))
  const heads: TableColumn[] = [
    { title: 'time', under: isUtc ? 'UTC' : `${zone}${times.offset}`, charsMin: timeChars },
    ...(isUtc ? [] : [{ title: 'time', under: 'UTC', charsMin: times.utc[0]?.length ?? 0 }]),
    ...columns.map(
      ({ name, unit = '', type }): TableColumn => ({
        title: name,
        // Many names hold their unit already.
        under: name.includes(`[${unit}]`) || name.includes(`(${unit})`) ? '' : unit,
        align: type === 'float' || type === 'int' ? 'right' : 'left',
        charsMin: valueCharsMin,
      }),
    ),
    { title: 'status', charsMin: 6 },
  ]
  if (tableFits(heads, cells, width)) return renderTable(heads, cells, width)
  return turnedTable(heads, cells, width)
}

/** Too many columns for the width: each is a line, each row a column, as many as fit. */
const turnedTable = (heads: TableColumn[], cells: string[][], width: number | undefined): string[] => {
  const shown = heads.slice(0, columnsShownMax)
  const lines = shown.map(({ title, under }, i) => [
    under ? `${title} [${under}]` : title,
    ...cells.map(r => r[i] ?? ''),
  ])
  const columns: TableColumn[] = [
    { title: '', charsMin: 24 },
    ...cells.map((_, i): TableColumn => ({ title: `row ${i + 1}`, charsMin: cells[0]?.[0]?.length ?? 0 })),
  ]
  let rows = cells.length
  while (rows > 1 && !tableFits(columns.slice(0, rows + 1), lines, width)) rows--
  const table = renderTable(columns.slice(0, rows + 1), lines, width)
  const left = heads.length - shown.length
  return left > 0 ? [...table, `and ${countText(left, 'more column')}`] : table
}

/** Times without what all of them share: the offset stands in the title, trailing zeros of fractions nowhere. */
const timesOf = (rows: SampleRow[]) => {
  const parts = rows.map(({ time, local }) => {
    const [, date = '', clock = '', fraction = '', offset = ''] =
      /^([^T]+)T([^.]+)(?:\.(\d+))?([+-]\d\d:\d\d)$/.exec(local) ?? []
    const utc = /^([^T]+)T([^.Z]+)/.exec(time)
    return { local: `${date} ${clock}`, fraction, offset, utc: `${utc?.[1] ?? ''} ${utc?.[2] ?? ''}` }
  })
  const digits = Math.max(...parts.map(({ fraction }) => fraction.replace(/0+$/, '').length))
  const tail = (fraction: string) => (digits === 0 ? '' : `.${fraction.padEnd(digits, '0').slice(0, digits)}`)
  const [first] = parts
  const isSame = parts.every(({ offset }) => offset === first?.offset)
  return {
    offset: isSame ? ` ${first?.offset ?? ''}` : '',
    local: parts.map(p => `${p.local}${tail(p.fraction)}${isSame ? '' : ` ${p.offset}`}`),
    utc: parts.map(p => `${p.utc}${tail(p.fraction)}`),
  }
}

export const valueText = (value: SampleValue): string => {
  if (value === null) return '–'
  if (typeof value === 'number') return numberText(value)
  if (typeof value === 'string') return value
  if (typeof value !== 'object') return String(value)
  const { length, min, max } = value as { length: number; min: number; max: number }
  return `${length} values, ${numberText(min)}…${numberText(max)}`
}

/** At most some ten digits: enough to recognise a value; the store keeps all. */
const numberText = (value: number): string => {
  const text = String(value)
  return text.length <= 14 || Number.isInteger(value) ? text : String(Number(value.toPrecision(10)))
}

/** Where and why, and the line itself; of rejects for the same kind of reason the first ones. */
export const rejectLines = (
  rejects: readonly Reject[],
  total: number,
  file: string,
  width: number | undefined,
): string[] => {
  const kinds = new Map<string, Reject[]>()
  for (const reject of rejects) {
    // What is quoted or counted differs from row to row; what is wrong does not.
    const kind = reject.reason.replace(/"[^"]*"|\d+/g, '#')
    kinds.set(kind, [...(kinds.get(kind) ?? []), reject])
  }
  const groups = [...kinds.values()]
  const lines = groups.slice(0, rejectKindsMax).flatMap(group => {
    const more = group.length - rejectsPerKindMax
    const shown = group.slice(0, rejectsPerKindMax).flatMap(reject => oneReject(reject, file, width))
    return more > 0 ? [...shown, `    and ${more} such among the first ${rejects.length}`] : shown
  })
  const rest = total - rejects.length
  return rest > 0 && rejects.length > 0 ? [...lines, `and ${rest.toLocaleString('en-US')} more`] : lines
}

const oneReject = ({ origin, reason, text }: Reject, file: string, width: number | undefined): string[] => {
  const byte = origin.firstByte === undefined ? '' : `, byte ${origin.firstByte}`
  const place = `${origin.file ?? file}${origin.firstLine === undefined ? byte : `:${origin.firstLine}`}`
  const shown = shorten(visible(text.replace(/\r?\n$/, '')), Math.min(rejectCharsMax, (width ?? 1000) - 4))
  return [...wrapText(`  ${place}: ${reason}`, width, '    '), ...(shown === '' ? [] : [`      ${shown}`])]
}
