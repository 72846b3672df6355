/** `pnpm faults`: the long runs. Each prints what it did. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runFaults } from '../fault-run.ts'
import { findProgram, type House, openHouse } from '../programs.ts'

const socat = findProgram('socat')
const mosquitto = findProgram('mosquitto')
const log = (line: string) => process.stdout.write(`${line}\n`)

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

const clean = { lost: 0, twice: 0, wrong: 0, serialTwice: 0 }

test('gateway and cloud with its broker killed 50 times while 1,000,000 rows are read', {
  timeout: 900_000,
}, async () => {
  const report = await runFaults({
    house,
    rows: 1_000_000,
    kills: 50,
    socat,
    mosquitto: undefined,
    msBetweenKillsMax: 2000,
    log,
  })
  log(JSON.stringify(report))
  expect(report).toMatchObject(clean)
  expect(report.serialGaps).toBeLessThanOrEqual(report.kills.gateway ?? 0)
})

test.skipIf(!mosquitto)(
  'mosquitto as outside broker: gateway, broker and cloud killed 20 times',
  { timeout: 900_000 },
  async () => {
    const report = await runFaults({
      house,
      rows: 1_000_000,
      kills: 20,
      socat,
      mosquitto,
      msBetweenKillsMax: 2000,
      log,
    })
    log(JSON.stringify(report))
    expect(report).toMatchObject(clean)
    expect(report.serialGaps).toBeLessThanOrEqual(report.kills.gateway ?? 0)
  },
)
