import { describe, expect, it } from 'vitest'
import { type ConversationOptions, createConversation, type Exchange, nextRoundMs } from '../src/conversation.ts'

/** An exchange with a device; its target is its name. */
const ask = (device: string, label: string, more: Partial<Exchange<string>> = {}): Exchange<string> => ({
  target: `${device} ${label}`,
  label,
  deviceLabel: device,
  bytes: Buffer.from(`${device}:${label}\r\n`),
  echo: Buffer.from(`${device}:${label}`),
  answers: 1,
  answerMsMax: 100,
  retries: 0,
  ...more,
})

/** A line whose clock and whose devices the test holds: a device answers `undefined` for silence, or text after so many ms. */
const newLine = (
  exchanges: Exchange<string>[],
  answer: (sent: string, n: number) => { text: string; afterMs: number }[] | undefined,
  more: Partial<ConversationOptions<string>> = {},
) => {
  const sent: string[] = []
  const log: string[] = []
  const coming: { atMs: number; text: string }[] = []
  let nowMs = 1_000_000
  let cleared = 0
  const conversation = createConversation(
    { exchanges, everyMs: 1000, isAligned: false, pacingMs: 0, hasEcho: false, ...more },
    {
      beforeSend: () => {
        cleared++
      },
      write(bytes, done) {
        const text = Buffer.from(bytes).toString().trim()
        sent.push(text)
        log.push(`${nowMs - 1_000_000} > ${text}`)
        for (const { text: said, afterMs } of answer(text, sent.length) ?? []) {
          coming.push({ atMs: nowMs + afterMs, text: said })
        }
        done()
      },
    },
    nowMs,
  )
  const runTo = (ms: number) => {
    for (; nowMs <= 1_000_000 + ms; nowMs++) {
      for (const { atMs, text } of coming) {
        if (atMs !== nowMs) continue
        const isEcho = conversation.isEcho(Buffer.from(text))
        const taken = isEcho ? { target: 'passed over' } : conversation.take(Buffer.from(text), nowMs)
        const what = 'problem' in taken ? `! ${taken.problem}` : taken.target
        log.push(`${nowMs - 1_000_000} < ${text} = ${what}`)
      }
      conversation.step(nowMs)
    }
  }
  return { conversation, sent, log, runTo, cleared: () => cleared, setBack: (ms: number) => (nowMs -= ms) }
}
const soon = (text: string) => [{ text, afterMs: 10 }]

describe('a conversation', () => {
  it('asks one command after the other, with pauses, round after round', () => {
    const line = newLine([ask('a', 'V'), ask('a', 'I')], text => soon(text.toLowerCase()), { pacingMs: 20 })
    line.runTo(1050)
    expect(line.log).toEqual([
      '0 > a:V',
      '10 < a:v = a V',
      '30 > a:I',
      '40 < a:i = a I',
      '1000 > a:V',
      '1010 < a:v = a V',
      '1030 > a:I',
      '1040 < a:i = a I',
    ])
    expect(line.cleared()).toBe(4)
    expect(line.conversation.silent()).toEqual({ sentences: [], deviceCount: 1 })
  })

  it('never takes a late answer for that of the next command', () => {
    const late = [{ text: '1.5', afterMs: 150 }]
    const line = newLine([ask('a', 'V'), ask('a', 'I')], text => (text === 'a:V' ? late : soon('0.2')))
    line.runTo(900)
    expect(line.log).toEqual([
      '0 > a:V',
      '150 < 1.5 = ! the answer to V (a) came later than 100 ms',
      '150 > a:I',
      '160 < 0.2 = a I',
    ])
  })

  it('refuses what comes when nothing was asked', () => {
    const twice = [
      { text: '1', afterMs: 10 },
      { text: '2', afterMs: 30 },
    ]
    const line = newLine([ask('a', 'V')], () => twice)
    line.runTo(900)
    expect(line.log.slice(1)).toEqual([
      '10 < 1 = a V',
      '30 < 2 = ! this came when no answer was awaited; the last command was V (a)',
    ])
  })

  it('waits on where an answer does not look like one, and needs no pause behind such commands', () => {
    const wrong = [
      { text: 'B=1', afterMs: 10 },
      { text: 'A=2', afterMs: 20 },
    ]
    const late = [{ text: 'A=3', afterMs: 105 }]
    const expectA = { expect: /^A=/ }
    const answers = [wrong, late, soon('B=4')]
    const line = newLine(
      [ask('a', 'A', expectA), ask('a', 'A2', expectA), ask('b', 'B', { expect: /^B=/ })],
      (_, n) => {
        return answers[n - 1]
      },
    )
    line.runTo(900)
    expect(line.log).toEqual([
      '0 > a:A',
      '10 < B=1 = ! this is no answer to A (a)',
      '20 < A=2 = a A',
      '20 > a:A2',
      '120 > b:B',
      '125 < A=3 = ! this is no answer to B (b)',
      '130 < B=4 = b B',
    ])
  })

  it('asks again as often as it may, and gives up for the round', () => {
    const line = newLine([ask('a', 'V', { retries: 2 })], (_, n) => (n < 3 ? undefined : soon('1')), { lateMs: 0 })
    line.runTo(900)
    expect(line.log).toEqual(['0 > a:V', '100 > a:V', '200 > a:V', '210 < 1 = a V'])
    const dead = newLine([ask('a', 'V', { retries: 2 })], () => undefined, { lateMs: 0 })
    dead.runTo(2500)
    expect(dead.log).toEqual(['0 > a:V', '100 > a:V', '200 > a:V', '1000 > a:V', '2000 > a:V'])
  })

  it('is held up by a silent device for one time-out a round, behind all others, and tells of it', () => {
    const exchanges = ['dead', 'b', 'c'].flatMap(device => [ask(device, 'V'), ask(device, 'I')])
    const line = newLine(exchanges, text => (text.startsWith('dead') ? undefined : soon('1')), { lateMs: 0 })
    line.runTo(1500)
    expect(line.log.filter(l => l.includes('>'))).toEqual([
      '0 > dead:V',
      '100 > dead:I',
      '200 > b:V',
      '210 > b:I',
      '220 > c:V',
      '230 > c:I',
      '1000 > b:V',
      '1010 > b:I',
      '1020 > c:V',
      '1030 > c:I',
      '1040 > dead:V',
    ])
    expect(line.conversation.silent()).toEqual({
      deviceCount: 3,
      sentences: ['dead has not answered since it was first asked at 1970-01-01 00:16:40 UTC'],
    })
  })

  it('takes a silent device back when it answers', () => {
    let isDead = true
    const line = newLine([ask('a', 'V'), ask('a', 'I')], () => (isDead ? undefined : soon('1')), { lateMs: 0 })
    line.runTo(1500)
    expect(line.conversation.silent().sentences).toHaveLength(1)
    isDead = false
    line.runTo(4500)
    expect(line.conversation.silent().sentences).toEqual([])
    expect(line.log.slice(-4)).toEqual(['4000 > a:V', '4010 < 1 = a V', '4010 > a:I', '4020 < 1 = a I'])
  })

  it('goes on with the other commands of a device that does not know one of them', () => {
    const line = newLine([ask('a', 'X'), ask('a', 'V'), ask('a', 'I')], t => (t === 'a:X' ? undefined : soon('1')), {
      lateMs: 0,
    })
    line.runTo(2500)
    expect(line.log.filter(l => l.includes('= a'))).toHaveLength(6)
    expect(line.conversation.silent().sentences).toEqual(['a answers, but not to X'])
  })

  it('passes over its own echo, and sends on at once what has no answer', () => {
    const echoed = (text: string) => [{ text, afterMs: 1 }, ...(text === 'a:V' ? [{ text: '7', afterMs: 5 }] : [])]
    const line = newLine([ask('a', 'SET', { answers: 0 }), ask('a', 'V')], echoed, { hasEcho: true })
    line.runTo(100)
    expect(line.log).toEqual([
      '0 > a:SET',
      '0 > a:V',
      '1 < a:SET = passed over',
      '1 < a:V = passed over',
      '5 < 7 = a V',
    ])
  })

  it('takes all frames of an answer of several', () => {
    const three = ['1', '2', '3', '4'].map((text, i) => ({ text, afterMs: 10 * (i + 1) }))
    const line = newLine([ask('a', 'ALL', { answers: 3 })], () => three)
    line.runTo(500)
    expect(line.log.filter(l => l.endsWith('= a ALL'))).toHaveLength(3)
    expect(line.log.at(-1)).toMatch(/no answer was awaited/)
  })

  it('does not stand still when the clock is set back', () => {
    const line = newLine([ask('a', 'V')], () => soon('1'))
    line.runTo(500)
    line.setBack(400_000)
    line.runTo(-398_500)
    expect(line.sent.length).toBeGreaterThanOrEqual(2)
  })
})

describe('rounds', () => {
  it('keep their grid, or that of the clock; missed ones are not made up for', () => {
    expect(nextRoundMs(1050, 1060, 1000, false)).toBe(2050)
    expect(nextRoundMs(1050, 4100, 1000, false)).toBe(5050)
    expect(nextRoundMs(1050, 1060, 1000, true)).toBe(2000)
    expect(nextRoundMs(2000, 2000, 1000, true)).toBe(3000)
    expect(nextRoundMs(1050, 4100, 1000, true)).toBe(5000)
  })
})
