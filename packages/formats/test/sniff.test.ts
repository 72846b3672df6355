/** What `sniff` promises beside being right: it is pure, bounded and total, and what it proposes can be read. */
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FileBytes, formatSchema, type Proposal, sniff, sniffFile } from '../src/index.ts'
import { guessTimes } from '../src/sniff/times.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const fileOf = (bytes: Uint8Array, reads: number[] = []): FileBytes => ({
  size: bytes.length,
  read: async (from, to) => {
    const part = bytes.slice(from, to)
    reads.push(part.length)
    return part
  },
})
const nowMs = Date.UTC(2026, 10, 20, 12)
const sniffText = (text: string, name = 'x.csv', zone = 'Europe/Berlin'): Promise<Proposal[]> =>
  sniff({ name, file: fileOf(encode(text)), zone, nowMs })

describe('sniff', () => {
  it('reads a bounded part of a large file, its end among it', async () => {
    const rows = Array.from({ length: 120_000 }, (_, i) => `2024-03-14 08:00:00,${i},${i < 119_000 ? '1' : '1.5'}`)
    const bytes = encode(`time,n,v\n${rows.join('\n')}\n`)
    const reads: number[] = []
    const [first] = await sniff({ name: 'big.csv', file: fileOf(bytes, reads), zone: 'UTC', nowMs })
    expect(reads.reduce((a, b) => a + b, 0)).toBeLessThan(512 * 1024)
    expect(bytes.length).toBeGreaterThan(2 * 1024 * 1024)
    // Only the end says that v is no whole number.
    expect(first?.format.columns).toMatchObject({ v: 'float', n: 'int' })
  })

  it('never throws and proposes only what can be parsed, whatever the bytes', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.string({ maxLength: 600 }).map(encode),
      fc
        .array(
          fc.constantFrom(
            ',',
            ';',
            '\t',
            '\n',
            '\r',
            '"',
            '1',
            '2024-03-14',
            ' ',
            'a',
            '{',
            '}',
            '[',
            ':',
            '-',
            '.',
            '#',
          ),
          { maxLength: 300 },
        )
        .map(parts => encode(parts.join(''))),
    )
    await fc.assert(
      fc.asyncProperty(bytes, async data => {
        const { proposals, reason } = await sniffFile({ name: 'a.bin', file: fileOf(data), zone: 'Asia/Tokyo', nowMs })
        for (const proposal of proposals) expect(formatSchema.safeParse(proposal.format).success).toBe(true)
        expect(proposals.length > 0 || (reason ?? '') !== '').toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  it('survives damaged files of every signature', async () => {
    for (const mark of [
      'TDSm',
      'PAR1',
      'PK\u0003\u0004',
      'WLMLTAID02\n[Measurement data]\n',
      'PROTEM Logging Tool\n',
      '>>>>>Begin Spectral Data<<<<<\n',
    ]) {
      const bytes = new Uint8Array([...encode(mark), ...Array.from({ length: 400 }, (_, i) => (i * 37) % 256)])
      const { proposals, reason } = await sniffFile({ name: 'x', file: fileOf(bytes), nowMs })
      expect(proposals.length > 0 || typeof reason === 'string').toBe(true)
    }
  })

  it('stays quick on texts that invite a pattern to try every cut', async () => {
    const evil = [
      `${'1,'.repeat(900)}x\n`.repeat(20),
      `${'a=1 '.repeat(200)}\n`.repeat(50),
      `${' '.repeat(900)}1\n`.repeat(50),
      `${'"'.repeat(999)}\n`.repeat(50),
      `${'1:'.repeat(400)}\n`.repeat(40),
    ]
    for (const text of evil) expect(Array.isArray(await sniffText(text))).toBe(true)
  })

  it('hands on what the disk throws', async () => {
    const file: FileBytes = { size: 10, read: () => Promise.reject(new Error('EIO')) }
    await expect(sniff({ name: 'x.csv', file })).rejects.toThrow('EIO')
  })

  it('offers no zone that does not exist', async () => {
    const [first] = await sniffText('time,v\n2024-03-14 08:00:00,1.5\n2024-03-14 08:01:00,1.6\n', 'x.csv', 'Mars/Base')
    expect(first?.source.zone).toBeUndefined()
    expect(first?.doubts.some(doubt => doubt.text.includes('no zone is known'))).toBe(true)
  })

  it('names pattern and device by the name of the file', async () => {
    const text = 'time,v\n2024-03-14 08:00:00,1.5\n2024-03-14 08:01:00,1.6\n'
    const of = async (name: string) => {
      const [first] = await sniffText(text, name)
      return [first?.source.pattern, first?.source.device]
    }
    expect(await of('gauge_20240314_080507_0001.csv')).toEqual(['gauge_*.csv', 'gauge'])
    expect(await of('CO2 2024-03-14.csv')).toEqual(['CO2 *.csv', 'co2'])
    expect(await of('20240314.csv')).toEqual(['*.csv', undefined])
    expect(await of('log[1].csv')).toEqual(['log?*?.csv', undefined])
  })
})

describe('layouts', () => {
  const hints = { name: 'x', zone: 'Europe/Berlin', nowMs, decimal: '.' as const, delimiter: ',', around: '' }
  const cases: [string, string[]][] = [
    ['iso', ['2024-03-14T08:05:07Z', '2024-03-14T08:05:07.123+01:00']],
    ['YYYY/MM/DD HH:mm:ss', ['2024/03/14 08:05:07', '2024/03/14 18:05:07']],
    ['YYYY/MM/DD HH:mm:ss.SSS', ['2024/03/14 08:05:07.123', '2024/03/14 18:05:07.456']],
    ['D/M/YYYY H:mm', ['14/3/2024 8:05', '15/11/2024 18:05']],
    ['M/D/YYYY h:mm:ss A', ['3/14/2024 8:05:07 PM', '12/5/2024 12:05:07 AM']],
    ['DD.MM.YYYY, HH:mm:ss.SSS', ['14.03.2024, 08:05:07.123', '05.03.2024, 18:05:07.456']],
    ['DD-MMM-YYYY HH:mm:ss', ['14-Mar-2024 08:05:07', '05-Apr-2024 08:05:07']],
    ['YYYYMMDDHHmmss', ['20240314080507', '20240315080507']],
    ['ddd MMM D HH:mm:ss z YYYY', ['Thu Oct 5 10:33:12 CEST 2023', 'Thu Oct 12 10:33:12 CEST 2023']],
    ['HH:mm:ss DD.MM.YYYY', ['08:05:07 14.03.2024', '08:05:08 05.03.2024']],
  ]
  it.each(cases)('%s', (layout, texts) => {
    const guess = guessTimes(texts, hints)
    expect(guess?.layouts).toEqual([layout])
    expect(guess?.share).toBe(1)
  })
  it('are none of words, versions and addresses', () => {
    for (const texts of [['abc', 'def'], ['1.2.3', '1.2.4'], ['10.0.0.1', '10.0.0.2'], ['12', '13'], ['']]) {
      expect(guessTimes(texts, hints)).toBeUndefined()
    }
  })
})

const data = new URL('../../../../shared/data/', import.meta.url)
const atHand = existsSync(data)
if (!atHand) process.stdout.write('the real sample files are not at hand: sniffing them is passed over\n')

describe.skipIf(!atHand)('real files', () => {
  const cases: [string, string, Record<string, unknown>][] = [
    ['lab-cns/ssd_short.csv', 'Asia/Tokyo', { kind: 'we7000' }],
    ['lab-cns/pmt_short.csv', 'Asia/Tokyo', { kind: 'csv', preset: 'pmt' }],
    ['lab-cns/coil_log.txt', 'Asia/Tokyo', { kind: 'csv', preset: 'coil' }],
    ['lab-cns/gauge_short.csv', 'Asia/Tokyo', { kind: 'csv', preset: 'gauge' }],
    ['lab-cns/ion_short.csv', 'Asia/Tokyo', { kind: 'csv', preset: 'ion' }],
    ['lab-cns/HeaterLog_20220314_100740_00001.csv', 'Asia/Tokyo', { kind: 'protem' }],
    ['lab-cns/laser_short.lta', 'Asia/Tokyo', { kind: 'lta' }],
    ['lab-cns/cmos_000039.csv', 'Asia/Tokyo', { kind: 'image-csv' }],
    ['stores/counts-2024-07.csv', 'Europe/Berlin', { kind: 'csv', preset: 'store-counts' }],
    [
      'plant/temperature.jsonl',
      'Europe/Berlin',
      {
        kind: 'jsonl',
        time: { column: 'timestamp', zone: 'UTC' },
        tags: { site: { column: 'plant_name' }, device: { column: 'lane_number' } },
      },
    ],
    ['plant/PlantShift.csv', 'Europe/Berlin', { kind: 'csv', time: { column: 'CreationDateTime', layout: 'iso' } }],
    ['tdms/raw1.tdms', 'Europe/Berlin', { kind: 'tdms' }],
    ['tdms/Digital_Input.tdms', 'Europe/Berlin', { kind: 'tdms' }],
    [
      'lab-gas/C2_CO2_50%HR_LedL365A oct.-05-23 Time 0833.tdms',
      'Europe/Madrid',
      {
        kind: 'tdms',
        rename: { 'Electrometer/Time Stamp': 'instrument_clock' },
        time: { channel: 'Main Variables/Time [s]', start: { file: "MMM-DD-YY 'Time' HHmm" } },
      },
    ],
    ['lab-gas/C2_CO2_50%HR_LedL365A Respuestas oct.-05-23 Time 0833.tdms', 'Europe/Madrid', { kind: 'tdms' }],
  ]
  it.each(cases)('%s', { timeout: 30_000 }, async (path, zone, format) => {
    const bytes = new Uint8Array(readFileSync(new URL(path.split('/').map(encodeURIComponent).join('/'), data)))
    const [first] = await sniff({ name: path.split('/').at(-1) ?? '', file: fileOf(bytes), zone, nowMs })
    expect(first?.format).toMatchObject(format)
    expect(first?.source.zone).toBe(zone)
  })
})
