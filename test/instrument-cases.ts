/** Cases that every historian passes: lines that grow, a real serial line, a cloud that comes later. */
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { findProgram, type House, run, sample, until } from './programs.ts'
import { needsSample, ready, writeCloud, writeGateway } from './store-counts-cases.ts'

interface Readings {
  rows: number
  time: string[]
  columns: { name: string; values: (number | string | null)[] }[]
}

const socat = findProgram('socat')

/** @param historian lines of cloud.yaml that name another historian than the lake */
export const instrumentCases = (houseOf: () => House, historian: () => string): void => {
  describe('lines that grow', { skip: needsSample('lab-cns/gauge_short.csv') }, () => {
    test('gauge and SSD files written line by line, with pauses and half lines: all rows, once, exact times', {
      timeout: 90_000,
    }, async () => {
      const house = houseOf()
      await mkdir(join(house.dir, 'lab'))
      house.start('cloud', await writeCloud(house, historian()))
      house.start(
        'gateway',
        await writeGateway(
          house,
          `  - id: gauge
    kind: tail
    folder: lab
    pattern: "gauge*.csv"
    pollMsMax: 20
    device: tpg256
    stream: pressure
    format:
      kind: csv
      time: { column: Timestamp, layout: "YYYY/MM/DD HH:mm:ss" }
  - id: ssd
    kind: tail
    folder: lab
    pattern: "*Slot*.csv"
    pollMsMax: 20
    device: ssd
    stream: pulses
    format: { kind: we7000 }
`,
        ),
      )
      const write = async (name: string, from: string) => {
        const text = await readFile(sample(from), 'utf8')
        for (let at = 0; at < text.length; ) {
          const end = Math.min(text.length, at + 1 + ((at * 7919) % 97))
          await appendFile(join(house.dir, 'lab', name), text.slice(at, end))
          at = end
          if (at % 5 === 0) await sleep(15)
        }
        // The last line of a sample may lack its end; an instrument writes it with the next row.
        if (!text.endsWith('\n')) await appendFile(join(house.dir, 'lab', name), '\n')
      }
      await Promise.all([
        write('gauge.csv', 'lab-cns/gauge_short.csv'),
        write('-20220314-100754-Slot1-In2.csv', 'lab-cns/ssd_short.csv'),
      ])
      const read = (device: string, stream: string) =>
        until(
          `${stream} has 18 rows`,
          async () => {
            const r = await house.json<Readings>(
              `/v1/readings?site=lab&device=${device}&stream=${stream}&from=2022-01-01&to=2023-01-01&limit=1000`,
            )
            return r.rows >= 18 && r
          },
          30_000,
        )
      const gauge = await read('tpg256', 'pressure')
      const column = (r: Readings, name: string) => r.columns.find(c => c.name === name)?.values as number[]
      expect(gauge.time).toEqual(Array.from({ length: 18 }, (_, i) => `2022-03-12T11:32:${19 + i}.000Z`))
      expect(column(gauge, 'Rb disp.').reduce((a, b) => a + b, 0) / 18).toBeCloseTo(8.9338889e-7, 13)
      expect(gauge.columns.map(c => c.name)).toEqual(['Rb disp.', 'Neut.', 'Surf. Ref.', 'NC1', 'NC2', 'NC3'])
      const ssd = await read('ssd', 'pulses')
      expect(ssd.rows).toBe(18)
      expect(ssd.time[0]).toBe('2022-03-14T01:07:54.553786Z')
      expect(ssd.time[17]).toBe('2022-03-14T01:08:00.693183Z')
      const { rejects } = await house.json<{ rejects: unknown[] }>('/v1/rejects')
      expect(rejects).toEqual([])
    })
  })

  describe('a serial line', { skip: !socat }, () => {
    test('readings arrive; pulled and plugged in again they go on; noise becomes rejects', {
      timeout: 90_000,
    }, async () => {
      const house = houseOf()
      const port = join(house.dir, 'ttyGauge')
      const far = join(house.dir, 'instrument')
      const plug = async () => {
        const pair = run(socat ?? '', [`pty,raw,echo=0,link=${port}`, `pty,raw,echo=0,link=${far}`])
        await until('the pty pair stands', () => existsSync(far) && existsSync(port))
        return pair
      }
      let pair = await plug()
      house.start('cloud', await writeCloud(house, historian()))
      house.start(
        'gateway',
        await writeGateway(
          house,
          `  - id: gauge
    kind: serial
    port: ${port}
    device: gauge
    stream: pressure
    format:
      kind: lines
      pattern: "^P=(?<pressure>[0-9.]+) n=(?<n>[0-9]+)$"
      columns: { pressure: float, n: int }
`,
        ),
      )
      await ready(house)
      const numbers = async () => {
        const answer = await house.get('/v1/readings?site=lab&device=gauge&stream=pressure&limit=10000')
        if (!answer.ok) return []
        const r = (await answer.json()) as Readings
        return r.columns.find(c => c.name === 'n')?.values ?? []
      }
      // An instrument talks on; what it says while nobody listens is gone.
      let n = 0
      const talk = async (until: () => Promise<boolean>) => {
        for (const end = performance.now() + 40_000; performance.now() < end; ) {
          if (existsSync(far)) await appendFile(far, `P=1.5 n=${++n}\r\n`).catch(() => {})
          if (await until()) return
          await sleep(50)
        }
        throw new Error('the line stayed silent')
      }
      await talk(async () => (await numbers()).length >= 3)
      await appendFile(far, 'P=1.\u0000\u0001x n=\r\n')
      await until(
        'noise is a reject',
        async () => (await house.json<{ rejects: { reason: string }[] }>('/v1/rejects')).rejects.length > 0,
      )

      await pair.kill('SIGKILL')
      const before = (await numbers()).length
      await sleep(300)
      pair = await plug()
      await talk(async () => (await numbers()).length >= before + 3)
      const seen = await numbers()
      expect(new Set(seen).size).toBe(seen.length)
      await pair.kill('SIGKILL')
    })
  })

  test('gateway first, cloud later: readings wait in the spool and then arrive', { timeout: 60_000 }, async () => {
    const house = houseOf()
    await mkdir(join(house.dir, 'logs'))
    const gateway = house.start(
      'gateway',
      await writeGateway(
        house,
        `  - id: log
    kind: tail
    folder: logs
    pollMsMax: 20
    device: d
    stream: s
    format: { kind: csv, time: { column: t, layout: iso }, columns: { v: int } }
`,
      ),
    )
    await writeFile(
      join(house.dir, 'logs', 'a.csv'),
      `t,v\n${Array.from({ length: 100 }, (_, i) => `${new Date(1.7e12 + i * 1000).toISOString()},${i}\n`).join('')}`,
    )
    await until(
      'the gateway has it in its spool',
      () => gateway.output().includes('"msg"') && existsSync(join(house.dir, 'gateway')),
    )
    await rename(join(house.dir, 'logs', 'a.csv'), join(house.dir, 'logs', 'b.csv'))
    house.start('cloud', await writeCloud(house, historian()))
    const got = await until(
      'the rows are there',
      async () => {
        const answer = await house.get(
          '/v1/readings?site=lab&device=d&stream=s&from=2023-01-01&to=2024-01-01&limit=1000',
        )
        const r = answer.ok && ((await answer.json()) as Readings)
        return r && r.rows >= 100 && r
      },
      40_000,
    )
    expect(got.columns[0]?.values).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })
}
