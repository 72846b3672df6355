/** Rows of the chosen series for the charts, with the marks of those that are not ok. */
import { type Flags, getFlags } from './flags.tsx'
import { getRows, pointsMax, type Rows } from './rows.ts'
import type { SeriesKey } from './url.ts'
import { type Answer, useAnswer } from './use-answer.ts'

export interface Wanted extends SeriesKey {
  columns: readonly string[]
  hasStatus: boolean
}
export interface Range {
  fromNs: bigint
  toNs: bigint
  /** As it was chosen. */
  kind: string
}
export interface Found {
  rows: Rows[]
  flags: Flags[]
}

export const useRows = (wanted: readonly Wanted[], { fromNs, toNs, kind }: Range): Answer<Found> =>
  useAnswer({
    of: JSON.stringify(wanted),
    ...{ kind, range: `${fromNs} ${toNs}` },
    async ask(signal) {
      const points = Math.floor(pointsMax / Math.max(1, wanted.length))
      const answers = await Promise.all(
        wanted.map(({ hasStatus, columns, ...series }) => {
          const query = { ...series, fromNs, toNs, points, columns: hasStatus ? [...columns, 'status'] : columns }
          return Promise.all([getRows(query, signal), hasStatus ? getFlags(query, signal) : undefined])
        }),
      )
      return { rows: answers.map(([rows]) => rows), flags: answers.flatMap(([, flags]) => flags ?? []) }
    },
  })
