import { describe, expect, it } from 'vitest'
import { alignedOf, hiddenByLog, plansOf } from '../src/instruments/chart-data.ts'
import { scaleColours, valueScale } from '../src/instruments/colours.ts'
import { unitBeside, usualColumns } from '../src/instruments/columns.ts'
import { gapsOf, nearest, type Rows } from '../src/instruments/rows.ts'
import {
  ageText,
  isoOf,
  momentText,
  nsOf,
  nsOfSeconds,
  nsOfWall,
  secondsOf,
  wallText,
} from '../src/instruments/time.ts'
import { readView, type View, viewUrl } from '../src/instruments/url.ts'

describe('times', () => {
  it.each([
    ['2026-03-18T14:25:00Z', '2026-03-18T14:25:00.000000000Z'],
    ['2026-03-18T15:25:00.123456789+01:00', '2026-03-18T14:25:00.123456789Z'],
    ['1969-12-31T23:59:59.5Z', '1969-12-31T23:59:59.500000000Z'],
  ])('are exact: %s', (text, iso) => {
    expect(isoOf(nsOf(text) ?? 0n)).toBe(iso)
  })
  it('are no times where they are none', () => {
    expect(nsOf('yesterday')).toBeUndefined()
    expect(nsOfWall('', 'UTC')).toBeUndefined()
  })
  it('come back from seconds within a µs', () => {
    const ns = nsOf('2026-03-18T14:25:00.123456Z') ?? 0n
    const apart = nsOfSeconds(secondsOf(ns)) - ns
    expect(apart < 1000n && apart > -1000n).toBe(true)
  })
  it('read as clocks of the zone, also where it changes', () => {
    expect(momentText('2026-07-01T12:00:00.25Z', 'Europe/Madrid')).toMatch(/1 Jul 2026.*14:00:00\.250$/)
    for (const iso of [
      '2026-03-29T00:59:59Z',
      '2026-03-29T01:00:00Z',
      '2026-07-01T10:00:00Z',
      '2026-12-01T10:00:00Z',
    ]) {
      const ns = nsOf(iso) ?? 0n
      expect(nsOfWall(wallText(ns, 'Europe/Madrid'), 'Europe/Madrid'), iso).toBe(ns)
    }
  })
  it('say how old they are', () => {
    const now = Date.parse('2026-03-18T12:00:00Z')
    expect(['11:59:57', '11:59:20', '11:20:00', '02:00:00'].map(t => ageText(`2026-03-18T${t}Z`, now))).toEqual([
      ...['just now', '40 s ago', '40 min ago', '10 h ago'],
    ])
  })
})

describe('the address', () => {
  it('says all that is shown, whatever the names are', () => {
    const key = { site: 'Ünï/ted', device: 'a:b,c@d', stream: '50 % &' }
    const view: View = {
      ...{ search: 'mbar', range: '6h', log: true, curveLog: true, vector: 'y,z' },
      series: [
        { ...key, columns: ['p,1', 'T:2'] },
        { site: 'Lab', device: 'g', stream: 's', columns: undefined },
      ],
      ...{ from: '2026-03-18T14:25:00.000000001Z', to: '2026-03-18T15:00:00Z' },
      point: { ...key, time: '2026-03-18T14:30:00Z' },
      curve: '2026-03-18T14:31:00Z',
    }
    const url = viewUrl(view)
    expect(readView(new URL(url, 'http://x').searchParams)).toEqual(view)
  })
  it('passes over what it does not understand', () => {
    const view = readView(new URLSearchParams('s=Lab&s=%E0%A4%A&s=a/b/c/d&range=8d&point=x'))
    expect(view).toMatchObject({ series: [], range: '24h', point: undefined })
    expect(viewUrl(view)).toBe('/instruments')
  })
})

const rowsOf = (x: number[], columns: Rows['columns'], over: Partial<Rows> = {}): Rows => ({
  ...{ site: 'Lab', device: 'g', stream: 's', x, columns, status: [], isDownsampled: false },
  time: x.map(t => isoOf(nsOfSeconds(t))),
  gaps: gapsOf(x, 0),
  ...over,
})
const column = (name: string, unit: string, values: (number | null)[]) => ({ name, unit, type: 'float', values })

describe('charts', () => {
  it('show a gap where nothing came for long, and none where a downsample is merely thin', () => {
    const x = [0, 1, 2, 3, 20, 21, 22]
    expect(gapsOf(x, 0)).toEqual([{ from: 3, to: 20 }])
    expect(gapsOf(x, 10)).toEqual([])
    // Events at random: long waits are usual, and no gaps.
    const waits = Array.from({ length: 200 }, (_, i) => -Math.log((((i * 37) % 199) + 1) / 200))
    const events = waits.map((_, i) => waits.slice(0, i).reduce((sum, wait) => sum + wait, 0))
    expect(gapsOf(events, 0)).toEqual([])
    expect(gapsOf([...events, (events.at(-1) ?? 0) + 50], 0)).toHaveLength(1)
    const [times, values] = alignedOf(plansOf([rowsOf(x, [column('p', 'Pa', x)])])[0]?.lines ?? [], false)
    expect(times).toEqual([0, 1, 2, 3, 11.5, 20, 21, 22])
    expect(values?.[4]).toBeNull()
  })
  it('have an axis a unit, at most two a chart', () => {
    const all = ['Pa', '°C', 'Pa', 'V'].map((unit, i) => column(`c${i}`, unit, [1, 2]))
    expect(plansOf([rowsOf([0, 1], all)]).map(plan => [plan.units, plan.lines.map(line => line.name)])).toEqual([
      [
        ['Pa', '°C'],
        ['c0', 'c1', 'c2'],
      ],
      [['V'], ['c3']],
    ])
  })
  it('join series without holes where only the other has a row', () => {
    const a = rowsOf([0, 2], [column('a', '', [1, null])])
    const b = rowsOf([1, 2], [column('b', '', [5, 6])], { device: 'h' })
    const lines = plansOf([a, b]).flatMap(plan => plan.lines)
    expect(lines.map(line => line.name)).toEqual(['g · a', 'h · b'])
    expect(alignedOf(lines, false)).toEqual([
      [0, 1, 2],
      [1, undefined, null],
      [undefined, 5, 6],
    ])
  })
  it('say what a logarithmic axis cannot show', () => {
    const lines = plansOf([rowsOf([0, 1, 2], [column('p', 'Pa', [1, 0, -3])])]).flatMap(plan => plan.lines)
    expect(hiddenByLog(lines)).toBe(2)
    expect(alignedOf(lines, true)[1]).toEqual([1, null, null])
  })
  it('find the row nearest to a time', () => {
    expect([-5, 0.4, 0.6, 9].map(at => nearest([0, 1, 2, 3], at))).toEqual([0, 0, 1, 3])
  })
})

describe('columns', () => {
  const stream = (...columns: [name: string, type: string, unit?: string][]) => ({
    ...{ site: 'Lab', device: 'd', stream: 's', rows: 1, first: '', last: '' },
    columns: columns.map(([name, type, unit]) => ({ name, type, ...(unit !== undefined && { unit }) })),
  })
  it('are those that measure, unless there are only others', () => {
    const bench = stream(['Main/No [#]', 'float', '#'], ['Main/Time [s]', 'float', 's'], ['R1 [ohm]', 'float', 'ohm'])
    expect(usualColumns(bench)).toEqual(['R1 [ohm]'])
    expect(usualColumns(stream(['index', 'int'], ['status', 'text']))).toEqual(['index'])
    const image = stream(['image', 'vector'], ['width', 'int'], ['height', 'int'], ['mean', 'float'])
    expect(usualColumns(image)).toEqual(['mean'])
  })
  it('say their unit once', () => {
    expect([unitBeside('R1 [ohm]', 'ohm'), unitBeside('p', 'Pa'), unitBeside('n', undefined)]).toEqual(['', 'Pa', ''])
  })
})

describe('the scale of a heat map', () => {
  it('goes from the smallest to the largest, and has no colour for what is no value', () => {
    const scale = valueScale(
      [
        [1, 3],
        [2, null],
      ],
      false,
    )
    expect([scale.min, scale.max, scale.place(1), scale.place(3), scale.place(2), scale.place(null)]).toEqual([
      ...[1, 3, 0, 255, 128, -1],
    ])
    const log = valueScale([[0, 1, 100]], true)
    expect([log.min, log.place(10), log.place(0)]).toEqual([1, 128, 0])
  })
  it('rises in lightness, so that eyes that see no hue can read it', () => {
    const lightness = Array.from({ length: 256 }, (_, i) => {
      const [r = 0, g = 0, b = 0] = scaleColours.subarray(i * 4)
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    })
    expect(lightness.every((value, i) => i === 0 || value >= (lightness[i - 1] ?? 0) - 0.5)).toBe(true)
  })
})
