import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatNs, rowNs } from '@penstock/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Historian } from '../src/historian.ts'
import { openLake } from '../src/historians/lake.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import { openQuarantineWorld } from './quarantine-world.ts'

const until = async (what: string, isTrue: () => boolean): Promise<void> => {
  const end = Date.now() + 5000
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

type World = Awaited<ReturnType<typeof openQuarantineWorld>>
const format = {
  kind: 'csv',
  delimiter: ';',
  time: { column: 'Time', layout: 'YYYY-MM-DD HH:mm' },
  columns: { count: { from: 'Count', type: 'int' }, pressure: { from: 'Pressure', unit: 'mbar' } },
}
const header = 'Time;Door;Count;Pressure\n'
const goodRow = '2024-07-01 09:00;1;10;1.5\n'
/** Two causes: a decimal comma in column 4 (three rows in two files), a date in another layout. */
const fill = async (world: World, withoutRecipe = false) => {
  const rows = '2024-07-01 10:00;1;20;1013,25\n2024-07-01 11:00;1;30;"1.014,5"\n'
  await world.readFile({ text: header + goodRow + rows, format, withoutRecipe })
  const file = 'counts-2024-07-02.csv'
  const text = `${header}2024-07-02 09:00;1;40;1012,75\n03.07.2024 10:00;1;50;1012\n`
  await world.readFile({ file, text, format, withoutRecipe })
}
interface Group {
  id: string
  open: number
  replayed: number
  dismissed: number
  files: number
  column: string | null
  reason: string
  filePattern: string
  example: { id: string; text: string; reason: string; hasRecipe: boolean }
}
const groupsOf = async (world: World, query = ''): Promise<Group[]> => {
  const { body } = await world.app.get(`/v1/rejects/groups${query}`)
  return (body as { groups: Group[] }).groups
}
const commaGroup = async (world: World): Promise<Group> => {
  const group = (await groupsOf(world)).find(g => g.column === 'Pressure')
  if (!group) throw new Error('there is no group of the column Pressure')
  return group
}
const rowsOf = async (world: World) =>
  (await world.stored()).flatMap(frame =>
    Array.from(frame.offsetsNs, (_, i) => [
      formatNs(rowNs(frame, i)),
      ...frame.columns.filter(c => c.name !== 'status').map(column => column.values[i]),
    ]),
  )
const comma = { decimalComma: [4] }

let dir: string
const kinds: [string, () => Promise<Historian>][] = [
  ['memory', async () => createMemoryHistorian()],
  ['lake', () => openLake({ file: join(dir, 'lake.duckdb'), memoryMiBMax: 128, threads: 2, log: { info() {} } })],
]

describe.each(kinds)('rejects over the %s historian', (_, openHistorian) => {
  let world: World
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-rejects-'))
    world = await openQuarantineWorld(await openHistorian())
  })
  afterEach(async () => {
    await world.close()
    await rm(dir, { recursive: true, force: true })
  })

  it('stand together by their cause', async () => {
    await fill(world)
    const groups = await groupsOf(world)
    expect(groups.map(g => [g.reason, g.column, g.filePattern, g.open, g.files])).toEqual([
      [expect.stringMatching(/^column "Time": "…" where a time is required/), 'Time', 'counts-*.csv', 1, 1],
      ['column "Pressure": "…" is not a number', 'Pressure', 'counts-*.csv', 3, 2],
    ])
    expect(groups[1]?.example).toMatchObject({ text: '2024-07-02 09:00;1;40;1012,75', hasRecipe: true })
    const group = groups[1]?.id
    const list = await world.app.get(`/v1/rejects?group=${group}&state=open&limit=2`)
    expect(list.body).toMatchObject({ rejects: [{ group, state: 'open' }, { group }], next: expect.any(String) })
  })

  it('are previewed: rows as they would be stored, what still fails, and nothing changes', async () => {
    await fill(world)
    const { body } = await world.post('/v1/rejects/preview', { filter: { source: 'doors' }, correction: comma })
    expect(body).toMatchObject({ matched: 4, examined: 4, readable: 3, failing: 1 })
    const { rows, failures } = body as { rows: object[]; failures: { reason: string }[] }
    expect(rows[0]).toEqual({
      ...{ id: '2.0', site: 'London', device: '1', stream: 'count', zone: 'Europe/London' },
      time: '2024-07-02T08:00:00.000Z',
      values: [
        { name: 'count', unit: null, value: 40, length: null },
        { name: 'pressure', unit: 'mbar', value: 1012.75, length: null },
      ],
    })
    expect(failures[0]?.reason).toContain('where a time is required')
    expect(await rowsOf(world)).toHaveLength(1)
    expect((await commaGroup(world)).open).toBe(3)
  })

  it('are replayed into the journal, and the ledger and the counts rise', async () => {
    await fill(world)
    const countOf = async () => {
      const query = 'store=London&level=sensor&sensor=1&resolution=hour&from=2024-07-01&to=2024-07-01'
      const { body } = await world.app.get(`/v1/counts?${query}`)
      return (body as { rows: { hour: number; count: number | null }[] }).rows
        .filter(row => row.hour >= 9 && row.hour <= 11)
        .map(row => row.count)
    }
    expect(await countOf()).toEqual([10])
    const { id } = await commaGroup(world)
    const replay = { filter: { group: id }, correction: comma, by: 'Ada' }
    const { body } = await world.post('/v1/rejects/replay', replay)
    expect(body).toMatchObject({ replayed: 3, rows: 3, failing: 0, next: null, journalSeq: 3 })
    expect(await countOf()).toEqual([10, 20, 30])
    expect(await rowsOf(world)).toEqual([
      ['2024-07-01T08:00:00.000Z', 10, 1.5],
      ['2024-07-01T09:00:00.000Z', 20, 1013.25],
      ['2024-07-01T10:00:00.000Z', 30, 1014.5],
      ['2024-07-02T08:00:00.000Z', 40, 1012.75],
    ])
    const ledger = await world.app.get('/v1/ledger?file=counts-2024-07-01.csv')
    expect(ledger.body).toMatchObject({
      lines: [{ rowsRead: 3, rowsStored: 3, rowsRejected: 0, rowsReplayed: 2 }],
      totals: { rowsRead: 3, rowsStored: 3, rowsRejected: 0 },
    })
    expect(await commaGroup(world)).toMatchObject({ open: 0, replayed: 3 })
    const one = await world.app.get('/v1/rejects/1.0')
    expect(one.body).toMatchObject({
      reject: { state: 'replayed', settled: { by: 'Ada', correction: comma, journalSeq: 3, reason: null } },
      recipe: { format: { kind: 'csv', delimiter: ';' }, head: header, site: 'London' },
    })
  })

  it('are replayed twice without a change, also after a kill between journal and records', async () => {
    await fill(world)
    const replay = { filter: { group: (await commaGroup(world)).id }, correction: comma }
    world.halt(true)
    // The journal has it, the projections stand still before they see it, and the page asks once more.
    const first = world.post('/v1/rejects/replay', replay)
    await until('the journal has the first', () => world.journal.stats().nextSeq === 4)
    world.halt(false)
    expect((await world.post('/v1/rejects/replay', replay)).body).toMatchObject({ replayed: 3, journalSeq: 4 })
    expect((await first).body).toMatchObject({ replayed: 3, journalSeq: 3 })
    const before = await rowsOf(world)
    expect(before).toHaveLength(4)
    expect((await world.post('/v1/rejects/replay', replay)).body).toMatchObject({
      replayed: 0,
      rows: 0,
      journalSeq: null,
    })
    expect((await world.post('/v1/rejects/1.1/replay', { correction: comma })).body).toMatchObject({
      already: 1,
      rows: 0,
    })
    const again = await world.post('/v1/rejects/1.1/replay', { correction: comma, again: true })
    expect(again.body).toMatchObject({ replayed: 1, rows: 1 })
    expect(await rowsOf(world)).toEqual(before)
  })

  it('are put aside with a reason; all is the same when built again from the journal', async () => {
    await fill(world)
    const [late] = await groupsOf(world)
    const dismissal = { filter: { group: late?.id }, reason: 'a test of the printer', by: 'Ada' }
    expect((await world.post('/v1/rejects/dismiss', dismissal)).body).toMatchObject({ dismissed: 1, left: 0 })
    await world.post('/v1/rejects/replay', { filter: { ids: ['1.0'] }, correction: comma })
    const all = async () => [
      (await world.app.get('/v1/rejects')).body,
      await groupsOf(world),
      (await world.app.get('/v1/ledger')).body,
    ]
    const before = await all()
    expect(before[0]).toMatchObject({
      rejects: [
        { id: '2.1', state: 'dismissed', settled: { by: 'Ada', reason: 'a test of the printer', correction: null } },
        { id: '2.0', state: 'open', settled: null },
        { id: '1.1', state: 'open' },
        { id: '1.0', state: 'replayed' },
      ],
    })
    expect((await groupsOf(world, '?state=open')).map(g => g.column)).toEqual(['Pressure'])
    await world.rebuildRecords()
    expect(await all()).toEqual(before)
  })
})

describe('corrections', () => {
  let world: World
  beforeEach(async () => {
    world = await openQuarantineWorld(createMemoryHistorian())
  })
  afterEach(() => world.close())
  const preview = async (correction: object, filter: object = { source: 'doors' }) =>
    (await world.post('/v1/rejects/preview', { filter, correction })) as {
      status: number
      body: {
        readable: number
        rows: { time: string; site: string; values: { name: string; value: unknown }[] }[]
        failures: { reason: string }[]
        detail: string
      }
    }
  const one = async (row: string, options: object, correction: object, head = header) => {
    await world.readFile({ text: `${head}${row}\n`, format: { ...format, ...options } })
    const { body } = await preview(correction)
    return body.rows[0]?.values.map(v => v.value) ?? body.failures[0]?.reason ?? body.detail
  }

  it('replace text, by cells or in all, plain or by a pattern', async () => {
    await fill(world)
    const find = String.raw`^(\d\d)\.(\d\d)\.(\d{4})`
    const { body } = await preview({
      replacements: [
        { column: 4, find: '.', replace: '' },
        { column: 4, find: ',', replace: '.' },
        { find, replace: '$3-$2-$1', regex: true },
      ],
    })
    expect(body).toMatchObject({ readable: 4, failures: [] })
    expect(body.rows[0]?.time).toBe('2024-07-03T09:00:00.000Z')
  })
  it('give another text for nothing', async () => {
    expect(await one('2024-07-01 10:00;1;20;n/a', {}, { format: { nullTexts: ['', 'n/a'] } })).toEqual([20, null])
  })
  it('give another decimal mark for all columns', async () => {
    expect(await one('2024-07-01 10:00;1;20;3,5', {}, { format: { decimal: ',' } })).toEqual([20, 3.5])
  })
  it('give another layout of times, and keep the rest of them', async () => {
    const correction = { format: { time: { layout: 'DD.MM.YYYY HH:mm' } } }
    expect(await one('01.07.2024 10:00;1;20;3.5', {}, correction)).toEqual([20, 3.5])
  })
  it('give another delimiter: of rows below a header that has the old one, or of the whole file', async () => {
    expect(await one('2024-07-01 10:00,1,20,3.5', {}, { format: { delimiter: ',' } })).toEqual([20, 3.5])
    await world.readFile({ source: 'whole', text: `${header}${goodRow}`, format: { ...format, delimiter: ',' } })
    const { body } = await preview({ format: { delimiter: ';' } }, { source: 'whole' })
    expect(body.rows[0]?.values.map(v => v.value)).toEqual([10, 1.5])
  })
  it('say what rows belong to', async () => {
    await fill(world)
    const { body } = await preview({ ...comma, site: 'Madrid', device: '0', stream: 'doors', zone: 'Europe/Madrid' })
    expect(body.rows[0]).toMatchObject({
      site: 'Madrid',
      device: '0',
      stream: 'doors',
      time: '2024-07-02T07:00:00.000Z',
    })
  })
  it('name the columns where the gateway did not say how the rows were read', async () => {
    await fill(world, true)
    expect((await preview(comma)).body.detail).toContain('site: is missing')
    const { body } = await preview({
      ...{ ...comma, site: 'London', device: '1', stream: 'count', zone: 'Europe/London' },
      names: ['Time', 'Door', 'Count', 'Pressure'],
      format: { delimiter: ';', time: format.time, columns: format.columns },
    })
    expect(body).toMatchObject({ readable: 3 })
    expect(body.rows[0]?.values.map(v => v.value)).toEqual([40, 1012.75])
  })
  it('cannot make a whole row of one that was cut', async () => {
    const reason = await one(`2024-07-01 10:00;1;20;${'x'.repeat(5000)}`, {}, comma)
    expect(reason).toContain('was cut at 4096 characters')
  })
  it('read rows of a format of lines', async () => {
    const lines = { kind: 'lines', pattern: '^(?<t>\\S+) (?<v>\\S+)$', time: { column: 't' }, columns: { v: 'float' } }
    await world.readFile({ text: '2024-07-01T10:00:00Z 1,5\n', format: lines })
    const { body } = await preview({ replacements: [{ find: ',', replace: '.' }] })
    expect(body.rows[0]?.values.map(v => v.value)).toEqual([1.5])
    expect((await preview(comma)).body.detail).toContain('only rows of delimited text have cells')
  })

  it.each([
    [{ replacements: [{ find: '(', regex: true }] }, 'is not a regular expression'],
    [{ replacements: [{ find: '(a+)+$', regex: true }] }, 'takes longer than'],
    [{ format: { delimiter: 'xx' } }, 'format.delimiter'],
    [{ format: { kind: 'xlsx' } }, 'cannot be read alone'],
    [{ decimalComma: [0] }, 'correction.decimalComma.0'],
    [{ unknown: 1 }, 'nrecognized key'],
  ])('refuse %j with a sentence', async (correction, said) => {
    await world.readFile({ text: `${header}2024-07-01 10:00;1;20;${'a'.repeat(40)}!\n`, format })
    const { status, body } = await preview(correction)
    expect([status, body.detail]).toEqual([400, expect.stringContaining(said)])
  })

  it('are written by nobody but our own page and programs', async () => {
    await fill(world)
    const body = { filter: { source: 'doors' }, reason: 'x' }
    const foreign = { 'content-type': 'application/json', origin: 'http://elsewhere.example' }
    expect((await world.post('/v1/rejects/dismiss', body, { headers: foreign })).status).toBe(403)
    const form = { 'content-type': 'text/plain' }
    expect((await world.post('/v1/rejects/dismiss', body, { headers: form })).status).toBe(415)
    expect((await world.post('/v1/rejects/dismiss', { filter: {}, reason: 'x' })).status).toBe(400)
    expect((await world.post('/v1/rejects/dismiss', { filter: { source: 'doors' }, reason: ' ' })).status).toBe(400)
    expect((await world.post('/v1/rejects/dismiss', `"${'x'.repeat(300_000)}"`)).status).toBe(413)
    expect((await world.app.get('/v1/rejects/9.9')).status).toBe(404)
    expect((await groupsOf(world)).reduce((sum, g) => sum + g.dismissed, 0)).toBe(0)
  })
})
