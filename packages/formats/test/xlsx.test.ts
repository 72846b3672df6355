import { crc32, deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createXlsx, formatSchema, type Resume, type XlsxOptions } from '../src/index.ts'
import { context, type Whole } from './decoder.contract.ts'
import { type MakeSeek, pullAll } from './seek.contract.ts'

const make = (options: object = {}, more = {}): MakeSeek => {
  const format = formatSchema.parse({ kind: 'xlsx', ...options }) as XlsxOptions
  return (resume?: Resume) => createXlsx(format, context(more), resume)
}
const rowsOf = (whole: Whole) => Object.values(whole.series).flatMap(s => s.rows.map(r => r.slice(1)))
const timesOf = (whole: Whole) =>
  Object.values(whole.series).flatMap(s =>
    s.rows.map(r => new Date(Number((r[0] as bigint) / 1_000_000n)).toISOString()),
  )
const reasons = (whole: Whole) => whole.rejects.map(r => (r as unknown[])[4])

interface Part {
  text: string | Buffer
  /** What the directory says instead of the truth. */
  bytes?: number
  flags?: number
  method?: number
}
/** A zip archive of these parts. */
const zip = (parts: Record<string, string | Part>, stored = false): Uint8Array => {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let at = 0
  for (const [name, given] of Object.entries(parts)) {
    const part: Part = typeof given === 'string' ? { text: given } : given
    const plain = Buffer.from(part.text)
    const packed = stored ? plain : deflateRawSync(plain)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(part.flags ?? 0, 2)
    common.writeUInt16LE(part.method ?? (stored ? 0 : 8), 4)
    common.writeUInt32LE(crc32(plain), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(part.bytes ?? plain.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(at, 10)
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, rest, Buffer.from(name)]))
    locals.push(local)
    at += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(central.length, 8)
  end.writeUInt16LE(central.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(at, 16)
  return new Uint8Array(Buffer.concat([...locals, directory, end]))
}

const quoted = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
const relation = (id: string, type: string, target: string) =>
  `<Relationship Id="${id}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/${type}" Target="${target}"/>`
/** A workbook around the rows of one sheet. Styles: 0 general, 1 date and time, 2 own format, 3 elapsed. */
const book = (
  sheetData: string,
  { p = '', is1904 = false, format = 'yyyy-mm-dd', texts = [] as string[], sheet = {} as object, more = {} } = {},
): Record<string, string | Part> => ({
  '_rels/.rels': `<Relationships>${relation('r1', 'officeDocument', 'xl/workbook.xml')}</Relationships>`,
  'xl/workbook.xml': `<${p}workbook><${p}workbookPr date1904="${is1904 ? 1 : 0}"/><${p}sheets><${p}sheet name="Data &amp; more" sheetId="1" r:id="r1"/><${p}sheet name="Chart" r:id="r4"/></${p}sheets></${p}workbook>`,
  'xl/_rels/workbook.xml.rels': `<Relationships>${relation('r1', 'worksheet', 'worksheets/sheet1.xml')}${relation('r2', 'styles', '/xl/styles.xml')}${relation('r3', 'sharedStrings', 'sharedStrings.xml')}${relation('r4', 'chartsheet', 'c.xml')}</Relationships>`,
  'xl/styles.xml': `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="${quoted(format)}"/><numFmt numFmtId="165" formatCode="[h]:mm:ss"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>`,
  'xl/sharedStrings.xml': `<${p}sst>${texts.map(t => `<${p}si><${p}t xml:space="preserve">${quoted(t)}</${p}t></${p}si>`).join('')}</${p}sst>`,
  'xl/worksheets/sheet1.xml': {
    text: `<?xml version="1.0"?><${p}worksheet xmlns="x"><${p}cols><${p}col min="1"/></${p}cols><${p}sheetData>${sheetData}</${p}sheetData><${p}mergeCells/></${p}worksheet>`,
    ...sheet,
  },
  ...more,
})
const n = (ref: string, v: number | string, s = 0) => `<c r="${ref}" s="${s}"><v>${v}</v></c>`
const t = (ref: string, text: string) => `<c r="${ref}" t="inlineStr"><is><t>${quoted(text)}</t></is></c>`
const row = (r: number, ...cells: string[]) => `<row r="${r}" spans="1:9">${cells.join('')}</row>`
const twoColumns = row(1, t('A1', 'a'), t('B1', 'b'))

const cell = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(v => ({ v })),
  fc.constantFrom(...[{ v: null }, { v: 1 }, { s: 'x & <y>' }, { s: '温度 "é"' }, { b: true }, { e: '#DIV/0!' }]),
)
type Cell = { v?: number | null; s?: string; b?: boolean; e?: string }

describe('xlsx', () => {
  it('gives back what was written, however it was written, from any checkpoint', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(cell, cell), { maxLength: 30 }),
        fc.record({ p: fc.constantFrom('', 'x:'), stored: fc.boolean(), refs: fc.boolean(), shared: fc.boolean() }),
        async (rows, { p, stored, refs, shared }) => {
          const texts = ['a', 'b', ...rows.flat().flatMap((c: Cell) => (c.s === undefined ? [] : [c.s]))]
          const xml = (c: Cell, ref: string): string => {
            const at = refs ? ` r="${ref}"` : ''
            if (c.s !== undefined) {
              return shared
                ? `<${p}c${at} t="s"><${p}v>${texts.indexOf(c.s)}</${p}v></${p}c>`
                : `<${p}c t='str' ${at}><${p}f>A1&amp;""</${p}f><${p}v>${quoted(c.s)}</${p}v></${p}c>`
            }
            if (c.b !== undefined) return `<${p}c${at} t="b"><${p}v>1</${p}v></${p}c>`
            if (c.e !== undefined) return `<${p}c${at} t="e"><${p}v>${c.e}</${p}v></${p}c>`
            return c.v === null ? `<${p}c${at} s="2"/>` : `<${p}c${at}><${p}v>${c.v}</${p}v></${p}c>`
          }
          const all = [[{ s: 'a' }, { s: 'b' }], ...rows] as Cell[][]
          const data = all
            .map(
              (cells, i) =>
                `<${p}row r="${i + 1}">${cells.map((c, k) => xml(c, `${'AB'[k]}${i + 1}`)).join('')}</${p}row>`,
            )
            .join(stored ? '\n' : '')
          const bytes = zip(book(data, { p, texts }), stored)
          const maker = make({ columns: { a: 'text', b: 'text' } }, { recordBytesMax: 65_536 })
          const whole = await pullAll(maker, bytes)
          const text = (c: Cell) =>
            c.s ?? c.e ?? (c.b ? 'true' : c.v === null || c.v === undefined ? null : String(c.v))
          const expected = rows.map(cells => cells.map(text)).filter(cells => cells.some(c => c !== null))
          expect(rowsOf(whole)).toEqual(expected.map(cells => [...cells, null]))
          expect(whole.rejects).toEqual([])
          expect(await pullAll(maker, bytes, 1)).toEqual(whole)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('never throws, whatever the bytes are', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => row(i + 2, n(`A${i + 2}`, i), n(`B${i + 2}`, 45_000 + i, 1)))
    const valid = zip(book(twoColumns + rows.join('')), true)
    const packed = zip(book(twoColumns + rows.join('')))
    const maker = make({ columns: { a: 'float' } })
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(6000), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(9000),
        async (isStored, changes, length) => {
          const from = isStored ? valid : packed
          const bytes = length % 4 === 0 ? from.slice(0, length) : from.slice()
          for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
          const whole = await pullAll(maker, bytes)
          expect(await pullAll(maker, bytes, 2)).toEqual(whole)
        },
      ),
      { numRuns: 300 },
    )
  })

  it.each([
    [1, false, '1900-01-01T00:00:00.000Z'],
    [59, false, '1900-02-28T00:00:00.000Z'],
    [61, false, '1900-03-01T00:00:00.000Z'],
    [45_292.5, false, '2024-01-01T12:00:00.000Z'],
    [45_292.000_011_574_1, false, '2024-01-01T00:00:01.000Z'],
    [45_292.123_456_79, false, '2024-01-01T02:57:46.667Z'],
    [43_830, true, '2024-01-01T00:00:00.000Z'],
    [1, true, '1904-01-02T00:00:00.000Z'],
  ])('reads day %d as %s', async (day, is1904, expected) => {
    const bytes = zip(book(twoColumns + row(2, n('A2', day, 1), n('B2', 1)), { is1904 }))
    const whole = await pullAll(make({ time: { column: 'a', zone: 'UTC' }, columns: { b: 'float' } }), bytes)
    expect(timesOf(whole)).toEqual([expected])
    // Without a date format the layout says that it is a date.
    const plain = zip(book(twoColumns + row(2, n('A2', day), n('B2', 1)), { is1904 }))
    const options = { time: { column: 'a', layout: 'excel', zone: 'UTC' }, columns: { b: 'float' } }
    if (day > 60 || is1904) expect(timesOf(await pullAll(make(options), plain))).toEqual([expected])
  })

  it.each([
    ['yyyy-mm-dd', true],
    ['[$-409]d mmm yyyy;@', true],
    ['h:mm AM/PM', true],
    ['yyyy"年"m"月"d"日"', true],
    ['0.00E+00', false],
    ['#,##0 "days"', false],
    ['[Red]0.0', false],
    ['0\\d', false],
    ['General', false],
    ['[h]:mm:ss', false],
  ])('knows whether the format %s is of a date', async (format, isDate) => {
    const bytes = zip(book(twoColumns + row(2, n('A2', 45_292, 2), n('B2', 1)), { format }))
    const whole = await pullAll(make({ columns: { a: 'text' } }), bytes)
    expect(rowsOf(whole)).toEqual([[isDate ? '2024-01-01' : '45292', null]])
  })

  it('refuses the 29 February of 1900, and dates in columns of numbers', async () => {
    const data = twoColumns + row(2, n('A2', 60, 1), n('B2', 1)) + row(3, n('A3', 45_292, 1), n('B3', 45_292, 2))
    const whole = await pullAll(make({ time: { column: 'a' }, columns: { b: 'float' } }), zip(book(data)))
    expect(reasons(whole)).toEqual([
      'column "a": "60" where a time is required (iso)',
      'column "b": "2024-01-01" is not a number',
    ])
  })

  it('keeps what does not fit a double exact, and marks formulas that have no value', async () => {
    const data = twoColumns + row(2, n('A2', '12345678901234567890'), '<c r="B2"><f>1/0</f></c>')
    const whole = await pullAll(make({ columns: { a: 'text', b: 'float' } }), zip(book(data)))
    expect(rowsOf(whole)).toEqual([['12345678901234567890', null, 'not-a-number']])
    expect(reasons(await pullAll(make({ columns: { a: 'int' } }), zip(book(data))))).toEqual([
      'column "a": "12345678901234567890" is not a whole number below 2^53',
    ])
  })

  it('joins runs, leaves out readings, and knows entities', async () => {
    const runs =
      '<is><r><t>A &amp; </t></r><r><rPr><b/></rPr><t>&#x3b1;&#65;_x000D_</t></r><rPh sb="0"><t>ルビ</t></rPh></is>'
    const data =
      twoColumns + row(2, `<c r="A2" t="inlineStr">${runs}</c>`, '<c r="B2" t="str"><v><![CDATA[<b>]]></v></c>')
    const whole = await pullAll(make({ columns: { a: 'text', b: 'text' } }), zip(book(data)))
    expect(rowsOf(whole)).toEqual([['A & αA\r', '<b>', null]])
  })

  it('finds the header below a title and empty rows, and rejects values beside the table', async () => {
    const data = [
      row(2, t('B2', 'Title of the run')),
      row(5, t('B5', 'v [mbar]'), t('C5', 'v')),
      row(7, n('B7', 1), n('C7', 2)),
      row(9, n('B9', 3), n('C9', 4), n('E9', 5)),
      '<row r="10"/>',
    ].join('')
    const whole = await pullAll(make({ header: { after: 'Title', unitsInNames: true } }), zip(book(data)))
    expect(Object.values(whole.series)[0]?.columns).toEqual(['column1:float', 'v [mbar]:float', 'v:float'])
    expect(whole.rowsRejected).toBe(1)
    expect(reasons(whole)).toEqual(['the row has a value in column E, where the table has no column'])
    const skipped = await pullAll(make({ header: { skip: 4 }, columns: { v: 'float' } }), zip(book(data)))
    expect(rowsOf(skipped)).toEqual([
      [2, null],
      [4, null],
    ])
    const grid = await pullAll(make({ header: false, sheet: 'Data & more' }), zip(book(row(1, n('A1', 1), n('C1', 3)))))
    expect(rowsOf(grid)).toEqual([[1, null, 3, null]])
  })

  const cfb = (text: string) => {
    const bytes = Buffer.alloc(2048)
    bytes.write('d0cf11e0a1b11ae1', 'hex')
    bytes.writeUInt16LE(9, 30)
    bytes.write(text, 512, 'utf16le')
    return new Uint8Array(bytes)
  }
  const bomb = 'x'.repeat(5_000_000)
  it.each([
    ['nothing', new Uint8Array(0), 'the file is no workbook (.xlsx): it has 0 bytes'],
    ['text', new Uint8Array(Buffer.from('a,b\n1,2\n3,4\n5,6\n7,8\n9,10\n')), 'it does not begin with PK'],
    ['an old workbook', cfb('Workbook'), 'the file is an old workbook (.xls): save it as .xlsx or as CSV'],
    ['an encrypted one', cfb('EncryptedPackage'), 'the workbook is encrypted: save it without a password'],
    ['another zip', zip({ 'a.txt': 'a' }), 'the file is a zip archive but no workbook (.xlsx)'],
    ['OpenDocument', zip({ mimetype: 'a', 'content.xml': '<a/>' }), 'the file is an OpenDocument sheet (.ods)'],
    ['a binary one', zip({ 'xl/workbook.bin': 'a' }), 'the file is a binary workbook (.xlsb)'],
    ['half a file', zip(book(twoColumns)).slice(0, 900), 'the archive has no directory; is the file complete?'],
    ['an encrypted entry', zip(book('', { sheet: { flags: 1 } })), 'the archive is encrypted, which is not read'],
    ['another method', zip(book('', { sheet: { method: 14 } })), 'is packed by method 14, which is not read'],
    [
      'a lie about its size',
      zip(book(bomb, { sheet: { bytes: 100 } })),
      'unpacks to more than the 100 bytes that it says',
    ],
    ['too large a sheet', zip(book(bomb)), 'more than the 1000000 that are allowed'],
    [
      'too many texts',
      zip(book(twoColumns, { texts: [bomb] })),
      'more than the 100000 that are held: raise textsBytesMax',
    ],
    [
      'half a sheet',
      zip(book('', { more: { 'xl/worksheets/sheet1.xml': '<worksheet><sheetData><row>' } })),
      'ends within its data',
    ],
  ])('says of %s why it is not read', async (_, bytes, why) => {
    const whole = await pullAll(make({ sheetBytesMax: 1_000_000, textsBytesMax: 100_000 }), bytes)
    expect(reasons(whole)).toHaveLength(1)
    expect(reasons(whole)[0]).toContain(why)
  })

  it('says which sheets there are', async () => {
    const bytes = zip(book(twoColumns))
    const why = 'its sheets are "Data & more"'
    expect(reasons(await pullAll(make({ sheet: 'Sheet 1' }), bytes))).toEqual([
      `the workbook has no sheet "Sheet 1"; ${why}`,
    ])
    expect(reasons(await pullAll(make({ sheet: 2 }), bytes))).toEqual([`the workbook has no sheet 2; ${why}`])
    expect(reasons(await pullAll(make({ header: { after: 'x' } }), bytes))).toEqual([
      'no row of the sheet begins with "x", behind which its data stand',
    ])
  })

  it('reads a sheet of many rows in pulls, and a row of no end within its limit', async () => {
    const many = Array.from({ length: 30_000 }, (_, i) => row(i + 2, n(`A${i + 2}`, i), n(`B${i + 2}`, i / 7)))
    const decoder = make({}, { frameRowsMax: 1000 })()
    const bytes = zip(book(twoColumns + many.join('')))
    let rows = 0
    for (let more = true; more; ) {
      const pulled = await decoder.pull(
        { size: bytes.length, read: async (from, to) => bytes.slice(from, to) },
        true,
        0n,
      )
      expect(pulled.rowsRead).toBeLessThanOrEqual(1000)
      rows += pulled.rowsRead
      more = pulled.more
    }
    expect(rows).toBe(30_000)
    const endless = await pullAll(make(), zip(book(twoColumns + row(2, t('A2', 'y'.repeat(9_000_000))))))
    expect(reasons(endless)).toEqual(['the row behind row 1 of the sheet takes more than 4194304 bytes'])
  })

  it('passes on what the disk throws', async () => {
    const bytes = zip(book(twoColumns))
    const decoder = make()()
    await expect(
      decoder.pull({ size: bytes.length, read: () => Promise.reject(new Error('EIO')) }, true, 0n),
    ).rejects.toThrow('EIO')
  })
})
