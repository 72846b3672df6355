import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { access, open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { parseIsoNs } from '@penstock/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OpenedPort, OpenPort } from '../src/serial-port.ts'
import { openSerial, type SerialDeps, type SerialOptions, serialOptions } from '../src/sources/serial.ts'
import {
  countOf,
  type Durable,
  newCloud,
  newDeps,
  newDurable,
  rowsOf,
  start,
  tempFolder,
  until,
  valuesOf,
} from './harness.ts'

let durable: Durable
const running: { stop(): Promise<void> }[] = []
beforeEach(() => {
  durable = newDurable()
})
afterEach(async () => {
  for (const source of running.splice(0)) await source.stop()
})

const optionsOf = (more: object = {}): SerialOptions => ({
  ...serialOptions.parse({
    id: 'scale',
    kind: 'serial',
    port: '/dev/fake',
    format: { kind: 'lines', pattern: '^n=(?<n>\\d+)$', columns: { n: 'int' } },
    flushMsMax: 20,
    retryMsMax: 100,
    firstLine: 'keep',
    ...more,
  }),
  site: 'Lab',
  zone: 'UTC',
})
const run = (more: object, deps: Partial<SerialDeps>) => {
  const all = { ...newDeps(newCloud(durable).receipts), random: () => 0, ...deps }
  const source = openSerial(optionsOf(more), all)
  const run = { ...start(source, durable), source, said: all.said }
  running.push(run)
  return run
}
const numbers = () => valuesOf(durable, 'n')
const rejects = () => durable.batches.flatMap(b => b.rejects)
const arrived = (expected: unknown[]) =>
  until(
    () => countOf(durable),
    n => n >= expected.length,
  ).then(() => expect(numbers()).toEqual(expected))

/**
 * A port whose other end the test holds. Each opening gives a new stream, as a device that was plugged in again does.
 * `answer` is what the instrument says to each write; undefined: nothing.
 */
const newFakePort = (answer: (sent: string) => string | undefined = () => undefined) => {
  let there = true
  let isSilentlyGone = false
  let openings = 0
  let stream: Duplex | undefined
  const sent: string[] = []
  const paths: string[] = []
  const openPort: OpenPort = async path => {
    paths.push(path)
    if (!there) throw new Error(`Error: No such file or directory, cannot open ${path}`)
    openings++
    const duplex = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        const text = Buffer.from(chunk).toString('latin1')
        sent.push(text)
        done()
        const said = answer(text)
        if (said !== undefined) setImmediate(() => duplex.push(Buffer.from(said, 'latin1')))
      },
    })
    stream = duplex
    const port: OpenedPort = {
      stream: duplex,
      isThere: async () => !isSilentlyGone,
      close: async () => {
        duplex.destroy()
      },
    }
    return port
  }
  return {
    openPort,
    sent,
    paths,
    openings: () => openings,
    say: (text: string) => stream?.push(Buffer.from(text, 'latin1')),
    pull: (how: 'error' | 'close' | 'silence') => {
      there = false
      if (how === 'error') stream?.destroy(new Error('EIO'))
      else if (how === 'close') stream?.emit('close')
      else isSilentlyGone = true
    },
    plug: () => {
      there = true
      isSilentlyGone = false
    },
  }
}
const opened = (port: ReturnType<typeof newFakePort>, n = 1) => until(port.openings, seen => seen >= n)

describe('a serial line', () => {
  it('gives a row for each whole line, with its time of arrival and the port as its file', async () => {
    const port = newFakePort()
    run({}, port)
    await opened(port)
    const before = Date.now()
    port.say('n=1\r\nn=')
    port.say('2\r\n')
    await arrived([1, 2])
    const times = rowsOf(durable).map(row => Number((parseIsoNs(row.time) ?? 0n) / 1_000_000n))
    for (const ms of times) {
      expect(ms).toBeGreaterThanOrEqual(before)
      expect(ms).toBeLessThanOrEqual(Date.now())
    }
    expect(new Set(rowsOf(durable).map(row => row.time)).size).toBe(2)
    expect(durable.batches[0]?.frames[0]).toMatchObject({
      site: 'Lab',
      device: 'scale',
      stream: 'readings',
      origin: { source: 'scale', file: '/dev/fake' },
    })
  })

  it('sends many lines of one moment in one frame, each with a time of its own', async () => {
    const port = newFakePort()
    run({}, port)
    await opened(port)
    for (let i = 1; i <= 500; i++) port.say(`n=${i}\n`)
    await arrived(Array.from({ length: 500 }, (_, i) => i + 1))
    expect(new Set(rowsOf(durable).map(row => row.time)).size).toBe(500)
    expect(durable.batches.flatMap(b => b.frames).length).toBeLessThan(50)
  })

  it('makes rejects of noise, and goes on behind it', async () => {
    const port = newFakePort()
    run({ recordBytesMax: 64 }, port)
    await opened(port)
    port.say('n=1\n\u00ff\u0000\u0081garbage\n')
    port.say(`${'x'.repeat(40)}`)
    port.say(`${'y'.repeat(4000)}`)
    port.say('end\nn=2\n')
    await arrived([1, 2])
    const seen = rejects()
    expect(seen).toHaveLength(2)
    expect(seen[0]).toMatchObject({ origin: { source: 'scale', file: '/dev/fake' } })
    expect(seen[0]?.text).toContain('garbage')
    expect(seen[1]?.reason).toBe('the line is longer than 64 bytes')
    expect(seen[1]?.text).toMatch(/^x{40}y/)
  })

  it('cuts at the delimiter that is configured', async () => {
    const port = newFakePort()
    run({ delimiter: '\r;' }, port)
    await opened(port)
    port.say('n=1\r')
    port.say(';n=2\r;n=3')
    port.say('4\r;')
    await arrived([1, 2, 34])
  })

  it('does not trust a first line that comes at once after opening', async () => {
    const port = newFakePort()
    const { source } = run({ firstLine: 'auto', quietMs: 60_000 }, port)
    await opened(port)
    port.say('7\nn=8\n')
    await arrived([8])
    expect(rejects()).toMatchObject([{ text: '7', reason: expect.stringMatching(/beginning may be missing/) }])
    expect(source.health()).toEqual({ health: 'ok' })
  })

  it('trusts a first line that comes after a pause', async () => {
    const port = newFakePort()
    run({ firstLine: 'auto', quietMs: 1 }, port)
    await opened(port)
    await new Promise(resolve => setTimeout(resolve, 20))
    port.say('n=9\n')
    await arrived([9])
    expect(rejects()).toEqual([])
  })

  it('sends what is to be said after opening, and asks again and again', async () => {
    const port = newFakePort()
    run({ open: ['*RST', 'UNIT Pa'], poll: { line: 'READ?', everyMs: 20 } }, port)
    await until(
      () => port.sent.join(''),
      text => text.split('READ?').length > 3,
    )
    expect(port.sent.join('')).toMatch(/^\*RST\r\nUNIT Pa\r\n(READ\?\r\n)+$/)
    port.pull('close')
    const before = port.sent.length
    port.plug()
    await opened(port, 2)
    await until(
      () => port.sent.length,
      n => n > before,
    )
    expect(port.sent[before]).toMatch(/^\*RST\r\nUNIT Pa\r\nREAD/)
  })
})

describe('a port that comes and goes', () => {
  it.each(['error', 'close', 'silence'] as const)('is opened again after it was lost by %s', async how => {
    const port = newFakePort()
    const { source } = run({}, port)
    await opened(port)
    port.say('n=1\nn=')
    await arrived([1])
    port.pull(how)
    await until(
      () => source.health(),
      h => h.health === 'failing',
    )
    port.plug()
    await opened(port, 2)
    port.say('n=2\n')
    await arrived([1, 2])
    expect(source.health()).toEqual({ health: 'ok' })
    expect(rejects()).toMatchObject([{ text: 'n=', reason: 'the port was lost while this line came' }])
  })

  it('is waited for when it is not there at the start', async () => {
    const port = newFakePort()
    port.pull('silence')
    const { source } = run({}, port)
    expect(source.health()).toEqual({ health: 'starting' })
    await until(
      () => source.health(),
      h => h.message === '/dev/fake is not there; waiting for it',
    )
    port.plug()
    await opened(port)
    port.say('n=1\n')
    await arrived([1])
  })

  it('is found by what its adapter says of itself', async () => {
    const port = newFakePort()
    const ports = [
      { path: '/dev/ttyUSB0', serialNumber: 'B1' },
      { path: '/dev/ttyUSB7', serialNumber: 'A50285BI' },
    ]
    run({ port: { serialNumber: 'a50285bi' } }, { ...port, listPorts: async () => ports })
    await opened(port)
    expect(port.paths).toEqual(['/dev/ttyUSB7'])
  })

  it.each([
    ['Error Resource temporarily unavailable Cannot lock port', /is in use by another program/],
    ['Error: Permission denied, cannot open /dev/ttyS0', /no permission .*dialout/],
  ])('says in plain words why it cannot be opened: %s', async (message, expected) => {
    const { source } = run({}, { openPort: async () => Promise.reject(new Error(message)) })
    await until(
      () => source.health().message ?? '',
      text => expected.test(text),
    )
  })

  it('turns stale when it is silent for too long, and well when it speaks', async () => {
    const port = newFakePort()
    const { source } = run({ silenceMsMax: 60 }, port)
    await opened(port)
    await until(
      () => source.health(),
      h => h.health === 'stale',
    )
    expect(source.health().message).toMatch(/nothing came for/)
    port.say('n=1\n')
    await arrived([1])
    expect(source.health().health).toBe('ok')
  })

  it('reads no further while the spool is full', async () => {
    const port = newFakePort()
    const source = openSerial(optionsOf(), { ...newDeps(newCloud(durable).receipts), ...port })
    const stop = new AbortController()
    const batches = source.batches({}, stop.signal)[Symbol.asyncIterator]()
    const first = batches.next()
    await opened(port)
    port.say('n=1\n')
    await first
    // The batch is not durable yet: nobody asks for the next one.
    let taken = true
    let n = 0
    while (taken && n < 1000) {
      n++
      taken = port.say(`n=${'1'.repeat(1020)}\n`) ?? false
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(n).toBeLessThan(100)
    stop.abort()
    await batches.return?.(undefined)
  })
})

const float = (name: string) => ({ kind: 'lines', pattern: `^(?<${name}>[-+0-9.]+)$`, columns: { [name]: 'float' } })
const seriesOf = () => new Set(rowsOf(durable).map(row => `${row.series} ${Object.keys(row.values)}`))

describe('an instrument that is asked', () => {
  it('answers each command into its own stream, by its own pattern', async () => {
    const port = newFakePort(sent => ({ 'MEAS:VOLT?\r\n': '1.5\r\n', 'MEAS:CURR?\r\n': 'I 0.25\r\n' })[sent])
    const current = { kind: 'lines', pattern: '^I (?<current>\\S+)$', columns: { current: { unit: 'A' } } }
    const commands = [
      { send: '*CLS', answers: 0 },
      { send: 'MEAS:VOLT?', stream: 'voltage', format: float('voltage') },
      { send: 'MEAS:CURR?', stream: 'current', format: current },
    ]
    const { source } = run({ format: undefined, device: 'psu', poll: { everyMs: 30, commands } }, port)
    await until(
      () => countOf(durable),
      n => n >= 6,
    )
    expect(seriesOf()).toEqual(new Set(['Lab/psu/voltage voltage', 'Lab/psu/current current']))
    expect(valuesOf(durable, 'voltage').filter(v => v !== undefined && v !== null)).toContain(1.5)
    expect(port.sent.slice(0, 4)).toEqual(['*CLS\r\n', 'MEAS:VOLT?\r\n', 'MEAS:CURR?\r\n', '*CLS\r\n'])
    expect(new Set(rowsOf(durable).map(row => row.time)).size).toBe(countOf(durable))
    expect(rejects()).toEqual([])
    expect(source.health()).toEqual({ health: 'ok' })
  })

  it('is asked again after a time-out, and its late or cut answers go to no command', async () => {
    let n = 0
    // The first answer lacks its end, so that it is none in time.
    const port = newFakePort(sent => (sent.startsWith('A') ? (n++ === 0 ? '1' : '2\r\n') : '3\r\n'))
    const commands = [
      { send: 'A?', stream: 'a', format: float('a'), answerMsMax: 150 },
      { send: 'B?', stream: 'b', format: float('b') },
    ]
    run({ poll: { everyMs: 200, commands, lateMs: 5 } }, port)
    await until(
      () => countOf(durable),
      n => n >= 2,
    )
    expect(rowsOf(durable).slice(0, 2)).toMatchObject([{ values: { a: 2 } }, { values: { b: 3 } }])
    expect(rejects()).toMatchObject([{ text: '1', reason: 'this line had no end when the next command was due' }])
    expect(port.sent.slice(0, 3)).toEqual(['A?\r\n', 'A?\r\n', 'B?\r\n'])
  })

  it('may share its line: a silent one is told by name, and the others go on', async () => {
    const port = newFakePort(sent => {
      const address = /^#(\d\d)/.exec(sent)?.[1]
      return address === '02' ? undefined : `>${address} 20.5\r\n`
    })
    const format = { kind: 'lines', pattern: '^>\\d\\d (?<t>\\S+)$' }
    const devices = ['01', '02', '03'].map(address => ({ address, device: `oven-${address}` }))
    const commands = [{ send: '#{address}T', expect: '^>{address} ' }]
    const poll = { everyMs: 40, answerMsMax: 120, retries: 0, commands }
    const { source, said } = run({ format, devices, poll }, port)
    await until(
      () => countOf(durable),
      n => n >= 8,
    )
    expect(seriesOf()).toEqual(new Set(['Lab/oven-01/readings t', 'Lab/oven-03/readings t']))
    expect(source.health()).toMatchObject({ health: 'stale' })
    expect(source.health().message).toMatch(
      /^oven-02 \(address 02\) has not answered since it was first asked at .* UTC$/,
    )
    expect(said.filter(s => s.includes('oven-02'))).toHaveLength(1)
    expect(port.sent.filter(s => s.startsWith('#01')).length).toBeGreaterThanOrEqual(4)
  })

  it('may put line ends behind its frames: they are no half answers', async () => {
    const port = newFakePort(() => '\x02n=5\x03\x65\r\n')
    const framing = { by: 'delimiter', start: '\\x02', end: '\\x03', tailBytes: 1 }
    const checksum = { kind: 'xor', from: 1 }
    expect([...'n=5\x03'].reduce((sum, c) => sum ^ c.charCodeAt(0), 0)).toBe(0x65)
    run({ framing, checksum, poll: { everyMs: 20, commands: [{ send: 'N?' }] } }, port)
    await until(
      () => countOf(durable),
      n => n >= 3,
    )
    expect(new Set(numbers())).toEqual(new Set([5]))
    expect(rejects()).toEqual([])
  })

  it('is sent checksums, and answers with some, also where the line gives back what was sent', async () => {
    const xor = (text: string) =>
      [...text]
        .reduce((sum, c) => sum ^ c.charCodeAt(0), 0)
        .toString(16)
        .toUpperCase()
        .padStart(2, '0')
    const port = newFakePort(sent => `${sent}R21.5*${xor('R21.5')}\r\n`)
    const format = { kind: 'lines', pattern: '^R(?<t>\\S+)$' }
    const checksum = { kind: 'xor', written: 'hex', after: '*', onCommands: true }
    run({ format, checksum, poll: { everyMs: 30, commands: [{ send: 'T?' }], echo: true } }, port)
    await until(
      () => countOf(durable),
      n => n >= 1,
    )
    expect(port.sent[0]).toBe(`T?*${xor('T?')}\r\n`)
    expect(valuesOf(durable, 't')[0]).toBe(21.5)
    expect(xor('R21.5')).toBe('4A')
    expect(rejects()).toEqual([])
  })
})

describe('frames that are no lines', () => {
  const binary = {
    kind: 'binary',
    recordBytes: 4,
    order: 'big',
    fields: [{ name: 'n', at: 2, type: 'u16' }],
  }
  const frame = (n: number, sum = 0) => {
    const bytes = [0xaa, 0x55, n >> 8, n & 0xff]
    return String.fromCharCode(...bytes, (bytes.reduce((a, b) => a + b, 0) + sum) & 0xff)
  }

  it('are cut at their sync bytes; noise, half frames and bad checksums are rejects and stop nothing', async () => {
    const port = newFakePort()
    const framing = { by: 'length', bytes: 5, sync: '\\xaa\\x55', gapMs: 60 }
    run({ format: binary, framing, checksum: { kind: 'sum8' } }, port)
    await opened(port)
    port.say(`\x01\x02${frame(1)}${frame(2, 1)}`)
    for (const c of frame(3)) port.say(c)
    await arrived([1, 3])
    port.say(frame(4).slice(0, 3))
    await until(
      () => rejects().length,
      n => n >= 3,
    )
    port.say(frame(5))
    await arrived([1, 3, 5])
    expect(rejects().map(r => [r.text, r.reason])).toEqual([
      ['01 02', 'these bytes stand before the beginning of a frame'],
      ['aa 55 00 02 02', 'the checksum (sum8) says 02, the bytes give 01'],
      ['aa 55 00', 'the frame has 3 bytes, 5 are expected'],
    ])
  })

  it('end with a pause, have a checksum behind ETX, or look as a pattern says', async () => {
    const port = newFakePort()
    const by = (framing: object, more = {}) => run({ framing, delimiter: undefined, ...more }, port)
    const silent = by({ by: 'silence', gapMs: 15 })
    await opened(port)
    port.say('n=')
    port.say('1')
    await arrived([1])
    await silent.stop()
    const etx = by(
      { by: 'delimiter', start: '\\x02', end: '\\x03', tailBytes: 1 },
      { checksum: { kind: 'xor', from: 1 } },
    )
    await opened(port, 2)
    port.say('\x02n=2\x03\x02\x02n=3\x03')
    const xor = [...'n=3\x03'].reduce((sum, c) => sum ^ c.charCodeAt(0), 0)
    port.say(String.fromCharCode(xor))
    await arrived([1, 3])
    expect(rejects()).toMatchObject([{ reason: expect.stringMatching(/^the checksum \(xor\) says 02/) }])
    await etx.stop()
    by({ by: 'regex', pattern: 'n=\\d{3}' })
    await opened(port, 3)
    port.say('n=456n=78')
    port.say('9')
    await arrived([1, 3, 456, 789])
  })

  it('have the time at which their first byte came', async () => {
    const port = newFakePort()
    let clockMs = 1_700_000_000_000
    run({}, { ...port, now: () => new Date(clockMs) })
    await opened(port)
    port.say('n=')
    // Taken up before the clock goes on.
    for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
    clockMs += 5000
    port.say('7\n')
    await until(
      () => {
        clockMs += 10
        return countOf(durable)
      },
      n => n >= 1,
    )
    expect(rowsOf(durable)[0]?.time).toBe('2023-11-14T22:13:20.000Z')
  })

  it('that are open when the gateway stops are told', async () => {
    const port = newFakePort()
    const { stop } = run({}, port)
    await opened(port)
    port.say('n=1\nn=2')
    await arrived([1])
    await stop()
    expect(rejects()).toMatchObject([{ text: 'n=2', reason: 'the gateway stopped while this line came' }])
  })
})

describe('options of a serial line', () => {
  const problems = (more: object) =>
    serialOptions
      .safeParse({ id: 'a', kind: 'serial', port: '/dev/a', format: float('x'), ...more })
      .error?.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
  it('that contradict each other are told by their keys', () => {
    const commands = [{ send: 'A?' }]
    expect(problems({ poll: { everyMs: 1000 } })).toEqual(['poll: asks nothing: give `commands`, or a `line`'])
    expect(problems({ poll: { everyMs: 1000, line: 'A', commands } })).toEqual([
      'poll.line: goes not with `commands`: give one of them',
    ])
    expect(problems({ format: undefined, poll: { everyMs: 1000, commands } })).toEqual([
      'poll.commands.0.format: is missing: give it here, or once for the source',
    ])
    expect(problems({ format: undefined })).toEqual(['format: is missing: expected a mapping'])
    const devices = [1, 1].map(address => ({ address, device: 'a' }))
    expect(problems({ devices, poll: { everyMs: 1000, commands } })).toEqual([
      'devices.1.address: a second device at the address 1',
      'poll.commands.0.send: holds no {address}: every device would be sent the same',
    ])
    expect(problems({ devices: devices.slice(1) })).toEqual([
      'devices: need `poll`: say there how often, and which commands',
    ])
    expect(problems({ delimiter: ';', framing: { by: 'silence', gapMs: 5 } })).toEqual([
      'delimiter: stands in `framing` where that is given',
    ])
    expect(problems({ flowControl: 'rtscts', rts: false })).toEqual([
      'rts: cannot be set: flow control rtscts uses this line',
    ])
    expect(problems({ open: ['\\q'] })?.[0]).toMatch(/^open\.0: "\\q" is no escape/)
  })
})

const hasSocat = (() => {
  try {
    execFileSync('socat', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()
const isCi = process.env.CI === 'true'

describe.skipIf(!hasSocat && !isCi)('a real pty pair (not run: needs socat)', () => {
  let folder: string
  let remove: () => Promise<void>
  let socat: ChildProcess | undefined
  beforeEach(async () => {
    ;({ path: folder, remove } = await tempFolder())
  })
  afterEach(async () => {
    await unplug()
    await remove()
  })
  const instrument = () => join(folder, 'instrument')
  const gateway = () => join(folder, 'gateway')
  const plug = async () => {
    const pty = (link: string) => `pty,raw,echo=0,link=${link}`
    socat = spawn('socat', [pty(instrument()), pty(gateway())], { stdio: 'ignore' })
    await until(
      () =>
        Promise.all([access(instrument()), access(gateway())]).then(
          () => true,
          () => false,
        ),
      there => there,
    )
  }
  const unplug = async () => {
    const process = socat
    socat = undefined
    if (!process || process.exitCode !== null) return
    const ended = new Promise(resolve => process.once('exit', resolve))
    process.kill('SIGKILL')
    await ended
  }
  const say = async (text: string) => {
    const handle = await openFile(instrument(), 'r+')
    try {
      await handle.write(text)
    } finally {
      await handle.close()
    }
  }

  it('is read, survives being pulled and plugged in again, and makes rejects of noise', async () => {
    await plug()
    const { source } = run({ port: gateway(), firstLine: 'keep' }, {})
    await until(
      () => source.health(),
      h => h.health === 'ok',
    )
    await say('n=1\nn=2\n\u0001\u0002noise\nn=3\n')
    await arrived([1, 2, 3])
    expect(rejects()).toMatchObject([{ text: expect.stringContaining('noise') }])
    await unplug()
    await until(
      () => source.health(),
      h => h.health === 'failing',
    )
    await plug()
    await until(
      () => source.health(),
      h => h.health === 'ok',
    )
    await say('n=4\n')
    await arrived([1, 2, 3, 4])
  })

  it('answers when it is asked', async () => {
    await plug()
    const handle = await openFile(instrument(), 'r+')
    const asked: string[] = []
    const answering = (async () => {
      for (let n = 1; n <= 3; n++) {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, null)
        asked.push(buffer.toString('latin1', 0, bytesRead))
        await handle.write(`n=${n}\n`)
      }
    })()
    run({ port: gateway(), poll: { line: 'READ?', everyMs: 30 } }, {})
    await answering
    await arrived([1, 2, 3])
    expect(asked.join('')).toMatch(/^(READ\?\r\n)+$/)
    await handle.close()
  })

  it('carries several devices, one of them silent, and says which', async () => {
    await plug()
    const handle = await openFile(instrument(), 'r+')
    const stop = new AbortController()
    const answering = (async () => {
      let asked = ''
      while (!stop.signal.aborted) {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, null)
        asked += buffer.toString('latin1', 0, bytesRead)
        const lines = asked.split('\r\n')
        asked = lines.pop() ?? ''
        for (const line of lines) {
          if (line === 'QUIT') return
          const address = line.slice(0, 1)
          if (address !== '2') await handle.write(`${address}=${address}0.5\r\n`)
        }
      }
    })()
    const devices = [1, 2, 3].map(address => ({ address, device: `d${address}` }))
    const poll = { everyMs: 50, answerMsMax: 150, commands: [{ send: '{address}T?', expect: '^{address}=' }] }
    const format = { kind: 'lines', pattern: '^.=(?<t>\\S+)$' }
    const { source, stop: stopSource } = run({ port: gateway(), format, devices, poll }, {})
    await until(
      () => countOf(durable),
      n => n >= 8,
    )
    expect(seriesOf()).toEqual(new Set(['Lab/d1/readings t', 'Lab/d3/readings t']))
    expect(source.health()).toMatchObject({
      health: 'stale',
      message: expect.stringMatching(/^d2 \(address 2\) has not/),
    })
    expect(rejects()).toEqual([])
    await stopSource()
    stop.abort()
    const gatewayEnd = await openFile(gateway(), 'r+')
    await gatewayEnd.write('QUIT\r\n')
    await answering
    await gatewayEnd.close()
    await handle.close()
  })

  it('says so where lines of the port cannot be set', async () => {
    await plug()
    const { source } = run({ port: gateway(), dtr: false }, {})
    const { message } = await until(
      () => source.health(),
      h => h.health === 'failing',
    )
    expect(message).toMatch(/cannot be opened: DTR and RTS cannot be set \(.*\): leave out dtr and rts; trying again$/)
  })
})
