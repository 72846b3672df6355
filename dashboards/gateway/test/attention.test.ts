import { describe, expect, it } from 'vitest'
import type { SourcePart } from '../src/api.ts'
import { attentionOf, healthText, stateText } from '../src/attention.ts'
import type { View } from '../src/view.ts'

const nowMs = Date.parse('2026-03-01T12:00:00Z')
const source = (changed: Partial<SourcePart> = {}): SourcePart => ({
  ...{ id: 'gauge', kind: 'serial', health: 'ok', rows: 10, rejects: 0, rowsPerMinute: 1, options: {}, order: 0 },
  lastRowAt: '2026-03-01T11:59:18Z',
  ...changed,
})
const well: View = {
  ...{ line: 'live', problem: undefined, heardMs: nowMs, nowMs, rejects: 0, streams: [], files: [] },
  gateway: {
    ...{ gateway: 'bench', version: '1', startedAt: '2026-03-01T10:00:00Z', configFile: 'g.yaml' },
    ...{ configuredAt: '2026-03-01T10:00:00Z', zone: 'UTC', files: 0, streams: 0 },
  },
  link: {
    ...{ kind: 'mqtt', url: 'mqtt://cloud', connected: true, through: 9 },
    ...{ inFlightBytes: 0, reconnects: 0, resends: 0 },
  },
  spool: {
    ...{ bytes: 1e6, bytesMax: 1e9, waiting: 0, bytesPerMinute: 1000, minutesLeft: 99_900 },
    ...{ full: false, lostEntries: 0, oldestSeq: 1, nextSeq: 10 },
  },
  sources: [source()],
}
const link = (changed: Partial<NonNullable<View['link']>>) => ({ ...well, link: { ...well.link, ...changed } }) as View
const spool = (changed: Partial<NonNullable<View['spool']>>) =>
  ({ ...well, spool: { ...well.spool, ...changed } }) as View
const textsOf = (view: View) => attentionOf(view).map(({ level, text }) => `${level}: ${text}`)

describe('what needs attention', () => {
  it('is nothing where all is well, and that is said', () => {
    expect(attentionOf(well)).toEqual([])
    expect(stateText(well, [])).toContain('All is well')
    expect(stateText(spool({ waiting: 3 }), [])).toContain('on its way')
  })

  it('is a link that is down, with the reason in words and the room that is left', () => {
    const down = link({ connected: false, problem: '10.0.0.9:1883: connect ECONNREFUSED 10.0.0.9:1883' })
    const [finding] = attentionOf(down)
    expect(finding).toMatchObject({
      level: 'warn',
      text: 'No link to the cloud: 10.0.0.9:1883: nothing answers there.',
    })
    expect(finding?.hint).toContain('room for 69 days')
    const first = link({ connected: false })
    expect(attentionOf(first)).toEqual([])
  })

  it('is a cloud that is behind, but not for the moment in which a reading is on its way', () => {
    expect(attentionOf(spool({ waiting: 1, oldestAt: '2026-03-01T11:59:00Z' }))).toEqual([])
    expect(textsOf(spool({ waiting: 1, oldestAt: '2026-03-01T11:00:00Z' }))[0]).toContain('waited for 60 minutes')
  })

  it('is a spool that is full, nearly full, soon full, or has lost something', () => {
    expect(textsOf(spool({ full: true, bytes: 1e9 }))).toEqual([
      'bad: The spool is full: sources wait until the cloud has taken something.',
    ])
    expect(textsOf(spool({ bytes: 8.99e8 }))).toEqual(['warn: The spool is 89 % full.'])
    const soon = { ...link({ connected: false, problem: 'x' }), spool: spool({ minutesLeft: 300 }).spool }
    expect(textsOf(soon)).toContain('warn: The spool will be full in 5 hours at the present rate.')
    const justStarted = { ...soon, nowMs: Date.parse('2026-03-01T10:05:00Z') }
    expect(textsOf(justStarted)).not.toContain('warn: The spool will be full in 5 hours at the present rate.')
    expect(textsOf(spool({ minutesLeft: 300 }))).toEqual([])
    expect(textsOf(spool({ lostEntries: 1200 }))[0]).toMatch(/^bad: 1.?200 entries of the spool were lost/)
  })

  it('is a refused configuration and each source that fails, is silent or rejects; the worst first', () => {
    const view = {
      ...link({ connected: false, problem: 'no route' }),
      gateway: { ...well.gateway, configProblem: 'g.yaml:3: patern: unknown key' },
      sources: [
        source({ rejects: 2 }),
        source({ id: 'com', health: 'stale', message: 'COM3 is open, but nothing came for 42 s' }),
        source({ id: 'inbox', kind: 'drop', health: 'failing', message: 'the folder in is not there' }),
      ],
    } as View
    expect(textsOf(view)).toEqual([
      'bad: The edited configuration was refused; the gateway goes on with the one before.',
      'bad: inbox: The folder in is not there.',
      'warn: No link to the cloud: no route.',
      'warn: gauge: 2 of 12 rows could not be read.',
      'warn: com: COM3 is open, but nothing came for 42 s.',
    ])
    expect(attentionOf(view)[0]?.hint).toContain('patern')
    expect(attentionOf(view)[1]?.hint).toContain('may the gateway read, move and delete there')
    expect(stateText(view, attentionOf(view))).toBe('5 things need attention.')
  })
})

describe('the health of a source', () => {
  it('is told in words', () => {
    expect(healthText(source(), nowMs)).toBe('Last row 42 seconds ago.')
    const { lastRowAt: _, ...never } = source()
    expect(healthText(never, nowMs)).toBe('Nothing has come since the gateway started.')
    expect(healthText(source({ message: 'a.csv is not complete' }), nowMs)).toBe(
      'Last row 42 seconds ago. a.csv is not complete.',
    )
    expect(healthText(source({ health: 'stale' }), nowMs)).toBe('Nothing has come since 42 seconds ago.')
    expect(healthText(source({ health: 'failing' }), nowMs)).toBe('It cannot read now; it is tried again.')
    expect(healthText(source({ health: 'starting' }), nowMs)).toBe('It is starting.')
    expect(healthText(source({ health: 'finished' }), nowMs)).toBe('There is no more to read.')
  })
})
