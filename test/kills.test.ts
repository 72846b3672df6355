/** The short form of `test/faults`: few kills, fewer rows, the same judgement. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runFaults } from './fault-run.ts'
import { findProgram, type House, openHouse } from './programs.ts'

const socat = findProgram('socat')
const mosquitto = findProgram('mosquitto')

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

const plan = { rows: 100_000, msBetweenKillsMax: 3000, log() {} }

test('gateway and cloud killed in turn while a file is read and a line talks: nothing lost, nothing twice', {
  timeout: 120_000,
}, async () => {
  const report = await runFaults({ ...plan, house, kills: 6, socat, mosquitto: undefined })
  expect(report).toMatchObject({ lost: 0, twice: 0, wrong: 0, serialTwice: 0 })
  if (socat) expect(report.serialGaps).toBeLessThanOrEqual(report.kills.gateway ?? 0)
})

test.skipIf(!mosquitto)(
  'gateway, mosquitto and cloud killed in turn: nothing lost, nothing twice',
  { timeout: 120_000 },
  async () => {
    const report = await runFaults({ ...plan, house, kills: 6, socat: undefined, mosquitto })
    expect(report).toMatchObject({ lost: 0, twice: 0, wrong: 0 })
  },
)
