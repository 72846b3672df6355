/** Cursors and stamps: points of `penstock_state`, written after what they stand for is confirmed. */
import { identifier, lineText, STATE } from './names.ts'
import type { Server } from './server.ts'

export interface State {
  /** Identity of the journal that the cursors speak of. */
  journal: string
  rows: number
  aggregates: number
  stamp: string
  /** Aggregates and marks of another generation count as deleted. */
  generation: number
}

export const emptyState = (journal: string): State => ({ journal, rows: 0, aggregates: 0, stamp: '', generation: 1 })

const fields = ['journal', 'rows', 'aggregates', 'stamp', 'generation'] as const

export const readState = async (server: Server): Promise<State | undefined> => {
  const { series } = await server.query(
    `select ${fields.map(identifier).join(', ')} from ${identifier(STATE)} where time = 0`,
  )
  const values = series[0]?.values[0]
  if (!values) return undefined
  const [, journal, rows, aggregates, stamp, generation] = values
  return {
    journal: String(journal ?? ''),
    rows: Number(rows ?? 0),
    aggregates: Number(aggregates ?? 0),
    stamp: String(stamp ?? ''),
    generation: Number(generation ?? 1),
  }
}

export const writeState = async (server: Server, state: Partial<State>): Promise<void> => {
  const texts = Object.entries(state).map(
    ([name, value]) => `${name}=${typeof value === 'number' ? `${value}i` : lineText(value)}`,
  )
  const [refused] = await server.write([`${STATE} ${texts.join(',')} 0`])
  if (refused) throw new Error(`InfluxDB refused the cursor: ${refused.words}`)
}
