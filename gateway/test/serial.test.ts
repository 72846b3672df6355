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

/** A port whose other end the test holds. Each opening gives a new stream, as a device that was plugged in again does. */
const newFakePort = () => {
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
        sent.push(String(chunk))
        done()
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
})
