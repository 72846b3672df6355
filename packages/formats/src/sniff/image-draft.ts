/** Camera images as text: a grid of whole numbers without names. */
import type { Draft, Hints, Settings } from './proposal.ts'
import type { Table } from './table.ts'

const sideMin = 12

/** Times in names of files: pattern, and layout of its groups with a blank between. */
const nameTimes: readonly [RegExp, string, string][] = [
  [/(?<!\d)20\d{6}[_T-]\d{6}(?!\d)/, '(20\\d{6})[_T-](\\d{6})', 'YYYYMMDD HHmmss'],
  [
    /(?<!\d)20\d\d-\d\d-\d\d[_T ]\d\d-\d\d-\d\d(?!\d)/,
    '(20\\d\\d-\\d\\d-\\d\\d)[_T ](\\d\\d-\\d\\d-\\d\\d)',
    'YYYY-MM-DD HH-mm-ss',
  ],
  [/(?<!\d)20\d{12}(?!\d)/, '(20\\d{6})(\\d{6})', 'YYYYMMDD HHmmss'],
]

export const imageDraft = (table: Table, draft: Draft, hints: Hints): Draft | undefined => {
  const { data, width } = table
  if (table.names || table.above.length > 0 || table.comment !== undefined || draft.format.time !== undefined)
    return undefined
  if (width < sideMin || data.length < sideMin || table.misfits.length > 0) return undefined
  const { encoding, delimiter, decimal } = draft.format
  const pixel = decimal === ',' ? /^-?\d{1,6}(?:,\d+)?$/ : /^-?\d{1,6}(?:\.\d+)?$/
  const isPixel = (cell: string): boolean => pixel.test(cell)
  const last = data.every(row => row.cells[width - 1] === '') ? width - 1 : width
  if (!data.every(row => row.cells.slice(0, last).every(isPixel))) return undefined
  const time = nameTimes.find(([pattern]) => pattern.test(hints.name))
  const format: Settings = {
    kind: 'image-csv',
    ...(encoding !== undefined && { encoding }),
    ...(delimiter !== undefined && { delimiter }),
    ...(decimal === ',' && { decimal }),
    ...(time && { time: { pattern: time[1], layout: time[2] } }),
  }
  const { onlyThis: _, ...rest } = draft
  return {
    ...rest,
    format,
    kind: 'drop',
    stream: 'image',
    ...(time && { local: true }),
    doubts: [
      {
        path: ['format', 'kind'],
        text: `${data.length} lines of ${last} numbers without names are taken for one image; say csv if each line is a row`,
      },
      ...(time
        ? []
        : [
            {
              path: ['format'],
              text: 'the name of the file carries no time: the image gets the time at which it is read',
            },
          ]),
    ],
    findings: [{ what: 'format', text: `an image of ${last} × ${data.length} numbers` }],
    weight: 3,
  }
}
