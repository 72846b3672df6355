import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OpenPort } from '../src/serial-port.ts'
import { type ModbusOptions, modbusOptions, openModbus } from '../src/sources/modbus.ts'
import type { SerialDeps } from '../src/sources/serial.ts'
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
import { addUnit, type Listening, listen, newSlave, type Slave, serveRtu, serveTcp } from './modbus-slave.ts'

let durable: Durable
let slave: Slave
const running: { stop(): Promise<void> }[] = []
const servers: Listening[] = []
beforeEach(() => {
  durable = newDurable()
  slave = newSlave()
})
afterEach(async () => {
  for (const source of running.splice(0)) await source.stop()
  for (const server of servers.splice(0)) await server.close()
})

const optionsOf = (more: object): ModbusOptions => ({
  ...modbusOptions.parse({
    id: 'meter',
    kind: 'modbus',
    everyMs: 30,
    answerMsMax: 1000,
    lateMs: 30,
    flushMsMax: 20,
    retryMsMax: 100,
    registers: [{ name: 'n', at: 40_001 }],
    ...more,
  }),
  site: 'Plant',
})
const run = (more: object, deps: Partial<SerialDeps> = {}) => {
  const all = { ...newDeps(newCloud(durable).receipts), random: () => 0, ...deps }
  const source = openModbus(optionsOf(more), all)
  const run = { ...start(source, durable), source, said: all.said }
  running.push(run)
  return run
}
const serve = async (how: Parameters<typeof listen>[0] = socket => serveTcp(slave, socket), port = 0) => {
  const server = await listen(how, port)
  servers.push(server)
  return server
}
const tcp = (server: Listening, more: object = {}) => ({ tcp: { host: '127.0.0.1', port: server.port, ...more } })
const rows = (n: number) =>
  until(
    () => countOf(durable),
    seen => seen >= n,
  ).then(() => rowsOf(durable))
const rejects = () => durable.batches.flatMap(b => b.rejects)

describe('Modbus TCP', () => {
  it('is read as the map says, in few requests, one row a poll at the moment of the answer', async () => {
    const server = await serve()
    const unit = addUnit(slave, 1, [215, 0xffff, 0x4148, 0x0000, 0x5e00, 0xb2d0, 0b1001, 0x4142, 0x4300, 32767])
    for (let i = 0; i < 4; i++) unit.input.set(i, [0, 0, 0, 7][i] ?? 0)
    for (let i = 0; i < 10; i++) unit.coil.set(i, i % 3 === 0)
    const registers = [
      { name: 'level', at: 40_001, scale: 0.1, unit: 'mm' },
      { name: 'offset', at: { holding: 1 }, type: 'i16', offset: 100 },
      { name: 'temperature', at: { holding: 2 }, type: 'f32', unit: '°C' },
      { name: 'count', at: { holding: 4 }, type: 'u32', order: 'CDAB' },
      { name: 'flags', at: { holding: 6 }, type: 'bits', bits: { 0: 'pump', 3: 'alarm' } },
      { name: 'model', at: { holding: 7 }, type: 'text', registers: 2 },
      { name: 'over', at: { holding: 9 }, status: { 32767: 'overrange' } },
      { name: 'energy', at: { input: 0 }, type: 'u64', unit: 'Wh' },
      { name: 'open', at: { coil: 9 } },
      { name: 'shut', at: { discrete: 1 } },
    ]
    const before = Date.now()
    const { source } = run({ ...tcp(server), registers, device: 'boiler', stream: 'state' })
    const [row] = await rows(2)
    expect(row).toMatchObject({
      series: 'Plant/boiler/state',
      values: {
        level: 21.5,
        offset: 99,
        temperature: 12.5,
        count: 0xb2d0_5e00,
        pump: true,
        alarm: true,
        model: 'ABC',
        over: null,
        energy: 7,
        open: true,
        shut: false,
        status: 'overrange',
      },
    })
    const ms = Date.parse(row?.time ?? '')
    expect(ms).toBeGreaterThanOrEqual(before)
    expect(ms).toBeLessThanOrEqual(Date.now())
    expect(slave.asked.slice(0, 4)).toEqual([
      { unit: 1, code: 1, address: 9, count: 1 },
      { unit: 1, code: 2, address: 1, count: 1 },
      { unit: 1, code: 4, address: 0, count: 4 },
      { unit: 1, code: 3, address: 0, count: 10 },
    ])
    const [frame] = durable.batches.flatMap(b => b.frames)
    expect(frame?.columns.slice(0, 2)).toMatchObject([
      { name: 'level', type: 'float', unit: 'mm' },
      { name: 'offset', type: 'float' },
    ])
    expect(frame?.origin).toEqual({ source: 'meter', file: `127.0.0.1:${server.port}`, format: 'modbus' })
    expect(source.health()).toEqual({ health: 'ok' })
  })

  it('agrees with the server of the library', async () => {
    const { ServerTCP } = createRequire(import.meta.url)('modbus-serial') as typeof import('modbus-serial')
    const vector = { getHoldingRegister: (address: number, unit: number) => address + unit * 1000, getCoil: () => true }
    const server = new ServerTCP(vector, { host: '127.0.0.1', port: 0, debug: false, unitID: 255 })
    await new Promise(resolve => server.once('initialized', resolve))
    const { port } = (server as unknown as { _server: { address(): { port: number } } })._server.address()
    try {
      const registers = [
        { name: 'a', at: 40_001 },
        { name: 'b', at: { holding: 70 } },
        { name: 'c', at: 400_100 },
        { name: 'd', at: { coil: 3 } },
      ]
      run({ tcp: { host: '127.0.0.1', port }, unit: 5, registers })
      expect((await rows(1))[0]?.values).toEqual({ a: 5000, b: 5070, c: 5099, d: true })
      for (const source of running.splice(0)) await source.stop()
    } finally {
      await new Promise<void>(resolve => server.close(() => resolve()))
    }
  })

  it('keeps numbers that a double would round: as text, or as a reject', async () => {
    const server = await serve()
    addUnit(slave, 1, [0x0020, 0, 0, 1])
    const registers = [
      { name: 'rounded', at: 40_001, type: 'u64' },
      { name: 'exact', at: 40_001, type: 'u64', as: 'text' },
    ]
    run({ ...tcp(server), registers })
    expect((await rows(1))[0]?.values).toEqual({ rounded: null, exact: '9007199254740993', status: 'beyond-2^53' })
    expect(rejects()[0]).toMatchObject({
      text: '9007199254740993',
      reason: expect.stringMatching(/"rounded".*as: text/),
    })
  })

  it('reads what a unit has where it refuses a part of a read, and says which part', async () => {
    const server = await serve()
    addUnit(slave, 1, [1, 2, 3])
    addUnit(slave, 1, [1, 2, 3]).holding.set(5, 6)
    const registers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, i) => ({ name, at: { holding: i } }))
    const { source, said } = run({ ...tcp(server), registers })
    expect((await rows(2))[1]?.values).toEqual({
      a: 1,
      b: 2,
      c: 3,
      d: null,
      e: null,
      f: 6,
      status: 'illegal-data-address',
    })
    expect(source.health()).toEqual({
      health: 'stale',
      message: 'meter (unit 1) answers, but not holding 3: it has no such address, holding 4: it has no such address',
    })
    expect(said.filter(s => s.includes('no such address'))).toHaveLength(1)
    // What was refused as a whole is not asked for as a whole again.
    expect(slave.asked.filter(({ address, count }) => address === 0 && count === 6)).toHaveLength(1)
  })

  it('makes holes and a status of an exception, and goes on when it is over', async () => {
    const server = await serve()
    addUnit(slave, 1, [42])
    slave.manner = (_unit, _address, n) => (n === 1 ? { exception: 6 } : 'answer')
    const { source } = run(tcp(server))
    const seen = await rows(2)
    expect(seen.slice(0, 2).map(r => r.values)).toEqual([{ n: null, status: 'device-busy' }, { n: 42 }])
    await until(
      () => source.health().health,
      h => h === 'ok',
    )
  })

  it('reads several units, each into its device; a silent one is told by name and holds nobody up', async () => {
    const server = await serve()
    addUnit(slave, 1, [11])
    addUnit(slave, 3, [33])
    const units = [1, 2, 3].map(unit => ({ unit, device: `meter-${unit}` }))
    const { source } = run({ ...tcp(server), units, retries: 0, everyMs: 100, answerMsMax: 250 })
    await rows(6)
    expect(new Set(rowsOf(durable).map(r => `${r.series} ${r.values.n}`))).toEqual(
      new Set(['Plant/meter-1/readings 11', 'Plant/meter-3/readings 33']),
    )
    expect(source.health().health).toBe('stale')
    expect(source.health().message).toMatch(/^meter-2 \(unit 2\) does not answer; never did since .* UTC$/)
    // From the second round on it is asked last.
    expect(slave.asked.slice(3, 6).map(a => a.unit)).toEqual([1, 3, 2])
    expect(server.connections()).toBe(1)
    addUnit(slave, 2, [22])
    await until(
      () => source.health().health,
      h => h === 'ok',
    )
    expect(valuesOf(durable, 'n')).toContain(22)
  })

  it('never takes a late answer for that of another read', async () => {
    const server = await serve()
    addUnit(slave, 1, [100], 0).holding.set(50, 150)
    slave.manner = (_unit, address) => (address === 0 ? { lateMs: 80 } : 'answer')
    const registers = [
      { name: 'slow', at: { holding: 0 } },
      { name: 'fast', at: { holding: 50 } },
    ]
    // The first read of the first round has no answer in time; nothing else is asked of the unit then.
    run({ ...tcp(server), registers, gapMax: 0, retries: 0, answerMsMax: 50 })
    await until(
      () => slave.asked.length,
      n => n >= 6,
    )
    expect(valuesOf(durable, 'slow').filter(v => v !== null)).toEqual([])
    slave.manner = (_unit, address) => (address === 50 ? { lateMs: 80 } : 'answer')
    const seen = countOf(durable)
    await rows(seen + 3)
    for (const { values } of rowsOf(durable).slice(seen)) {
      expect([100, null]).toContain(values.slow)
      expect(values.fast).toBeNull()
      expect(values.status).toBe('no-answer')
    }
  })

  it('outlives garbage, hang-ups and a server that says nothing: it connects anew', async () => {
    const server = await serve()
    addUnit(slave, 1, [7])
    // A head that promises 65,535 bytes, then a hang-up, then silence for two rounds.
    slave.manner = (_unit, _address, n) => {
      if (n === 1) return { bytes: Buffer.from('ffff0000ffff0103020007', 'hex') }
      if (n === 8) return 'hang-up'
      return n < 4 || (n > 8 && n < 14) ? 'silence' : 'answer'
    }
    const { source } = run({ ...tcp(server), retries: 0, answerMsMax: 60 })
    await until(
      () => slave.asked.length,
      n => n >= 20,
    )
    await until(
      () => source.health().health,
      h => h === 'ok',
    )
    expect(server.connections()).toBeGreaterThanOrEqual(4)
    expect(new Set(valuesOf(durable, 'n'))).toEqual(new Set([7]))
  })

  it('says in plain words why there is no connection, and connects when there is one', async () => {
    const server = await serve()
    await server.close()
    addUnit(slave, 1, [5])
    const { source } = run(tcp(server))
    await until(
      () => source.health(),
      h => h.message === `127.0.0.1:${server.port} refuses the connection: nothing listens there; trying again`,
    )
    await serve(socket => serveTcp(slave, socket), server.port)
    await rows(1)
    expect(source.health()).toEqual({ health: 'ok' })
  })
})

/** A port whose other end is the slave. */
const fakePort = (): OpenPort => async () => {
  const near = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      far.push(chunk)
      done()
    },
  })
  const far = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      near.push(chunk)
      done()
    },
  })
  serveRtu(slave, far)
  return { stream: near, isThere: async () => !near.destroyed, close: async () => void near.destroy() }
}

describe('Modbus RTU', () => {
  const rtu = { rtu: { port: '/dev/fake', baudRate: 115_200 } }

  it('finds its answers among noise, and tells of noise alone', async () => {
    addUnit(slave, 1, [0x0103, 2])
    const noise = Buffer.from('01030201fe', 'hex')
    slave.manner = (_unit, _address, n) => (n % 4 === 3 ? { bytes: noise } : n % 4 === 2 ? 'wrong-crc' : { noise })
    const registers = [
      { name: 'n', at: 40_001 },
      { name: 'm', at: 40_002 },
    ]
    run({ ...rtu, registers, retries: 3, answerMsMax: 40, lateMs: 5 }, { openPort: fakePort() })
    await rows(4)
    expect(new Set(valuesOf(durable, 'n'))).toEqual(new Set([0x0103]))
    expect(new Set(valuesOf(durable, 'm'))).toEqual(new Set([2]))
    const reasons = new Set(rejects().map(r => r.reason))
    expect(reasons).toEqual(
      new Set(['this is no answer of meter (unit 1) to a read of holding 0 to 1: bytes came, but no whole answer']),
    )
    expect(rejects().map(r => r.text)).toContain('01 03 02 01 fe')
  })

  it('never takes a late answer of a unit for that of its next read', async () => {
    addUnit(slave, 1, [100], 0).holding.set(50, 150)
    addUnit(slave, 2, [200], 0).holding.set(50, 250)
    slave.manner = (unit, address) => (unit === 1 && address === 50 ? { lateMs: 60 } : 'answer')
    const registers = [
      { name: 'first', at: { holding: 0 } },
      { name: 'second', at: { holding: 50 } },
    ]
    const units = [1, 2].map(unit => ({ unit, device: `d${unit}` }))
    const options = { ...rtu, registers, units, gapMax: 0, retries: 1, answerMsMax: 40, lateMs: 60 }
    run(options, { openPort: fakePort() })
    await rows(8)
    for (const { series, values } of rowsOf(durable)) {
      const isSlow = series.includes('d1')
      expect([isSlow ? 100 : 200, null]).toContain(values.first)
      expect(isSlow ? [null] : [250, null]).toContain(values.second)
    }
    expect(valuesOf(durable, 'first')).toContain(100)
    expect(valuesOf(durable, 'second')).toContain(250)
  })

  it('stops at once while an answer is awaited, as TCP does', async () => {
    addUnit(slave, 1, [5])
    slave.manner = () => 'silence'
    const server = await serve()
    for (const [i, more] of [rtu, tcp(server)].entries()) {
      const { stop } = run({ ...more, answerMsMax: 60_000 }, { openPort: fakePort() })
      await until(
        () => slave.asked.length,
        n => n > i,
      )
      await stop()
    }
    expect(countOf(durable)).toBe(0)
  })

  it('comes through the socket of a device server, too', async () => {
    const server = await serve(socket => serveRtu(slave, socket))
    addUnit(slave, 9, [321])
    run({ ...tcp(server, { framing: 'rtu' }), unit: 9 })
    await rows(2)
    expect(valuesOf(durable, 'n')[0]).toBe(321)
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

describe.skipIf(!hasSocat && !isCi)('Modbus RTU on a real pty pair (not run: needs socat)', () => {
  let folder: string
  let remove: () => Promise<void>
  let socat: ChildProcess | undefined
  beforeEach(async () => {
    ;({ path: folder, remove } = await tempFolder())
  })
  afterEach(async () => {
    for (const source of running.splice(0)) await source.stop()
    await unplug()
    await remove()
  })
  const unplug = async () => {
    const process = socat
    socat = undefined
    if (!process || process.exitCode !== null) return
    const ended = new Promise(resolve => process.once('exit', resolve))
    process.kill('SIGKILL')
    await ended
  }
  const gateway = () => join(folder, 'gateway')
  /** A pty on one side, the slave behind a socket on the other. */
  const plug = async (server: Listening) => {
    socat = spawn('socat', [`pty,raw,echo=0,link=${gateway()}`, `tcp:127.0.0.1:${server.port}`], { stdio: 'ignore' })
    await until(
      () =>
        access(gateway()).then(
          () => true,
          () => false,
        ),
      there => there,
    )
  }

  it('is polled, survives being pulled and plugged in again', async () => {
    const server = await serve(socket => serveRtu(slave, socket))
    addUnit(slave, 1, [11])
    addUnit(slave, 2, [22])
    await plug(server)
    const units = [1, 2, 3].map(unit => ({ unit, device: `d${unit}` }))
    const { source } = run({
      rtu: { port: gateway(), baudRate: 115_200, parity: 'even' },
      units,
      retries: 0,
      answerMsMax: 200,
    })
    await rows(6)
    expect(source.health().message).toMatch(/^d3 \(unit 3\) does not answer/)
    await unplug()
    await until(
      () => source.health(),
      h => h.health === 'failing',
    )
    const before = countOf(durable)
    await plug(server)
    await rows(before + 4)
    expect(new Set(rowsOf(durable).map(r => `${r.series} ${r.values.n}`))).toEqual(
      new Set(['Plant/d1/readings 11', 'Plant/d2/readings 22']),
    )
  })
})

describe('options of Modbus', () => {
  const problems = (more: object) =>
    modbusOptions
      .safeParse({
        id: 'a',
        kind: 'modbus',
        everyMs: 1000,
        tcp: { host: 'a' },
        registers: [{ name: 'n', at: 40_001 }],
        ...more,
      })
      .error?.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
  it('that contradict each other are told by their keys', () => {
    expect(problems({ tcp: undefined })).toEqual([': says not where: give tcp: {host: …} or rtu: {port: …}'])
    expect(problems({ rtu: { port: '/dev/a' } })).toEqual(['rtu: goes not with `tcp`: give one of them'])
    expect(problems({ registers: undefined })).toEqual(['registers: is missing: expected a list'])
    const register = (more: object) => problems({ registers: [{ name: 'n', at: 40_001, ...more }] })
    expect(register({ type: 'bool' })).toEqual(['registers.0.bit: is missing: say which bit of the register, from 0'])
    expect(register({ at: { coil: 1 }, type: 'u16' })?.[0]).toMatch(/^registers\.0\.type: does not fit a coil/)
    expect(register({ at: { holding: 65_533 }, type: 'u64' })?.[0]).toMatch(
      /^registers\.0\.at: the register ends at 65537/,
    )
    expect(register({ type: 'text' })?.[0]).toMatch(/^registers\.0\.registers: is missing/)
    expect(register({ scale: 0 })).toEqual(['registers.0.scale: is 0: every value would be the same'])
    const twice = [
      { name: 'n', at: 40_001 },
      { name: 'n', at: 40_002 },
    ]
    expect(problems({ registers: twice })).toEqual(['registers: has two columns "n"'])
    const units = [1, 2].map(unit => ({ unit, device: 'same' }))
    expect(problems({ units })).toEqual(['units.1.device: a second unit writes the stream of "same"'])
  })
})
