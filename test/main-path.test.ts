/**
 * The main path as a stranger would try it: real programs, real files, a real serial line, and what the API then says.
 */
import { afterEach, beforeEach } from 'vitest'
import { instrumentCases } from './instrument-cases.ts'
import { type House, openHouse } from './programs.ts'
import { storeCountsCases } from './store-counts-cases.ts'

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

storeCountsCases(
  () => house,
  () => '',
)
instrumentCases(
  () => house,
  () => '',
)
