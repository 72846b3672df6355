/** The map: sensors by time. One place at a time is in the order of the tab key; the arrow keys move among them. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { hourText, shortDateText, weekdayOf, weekdayText } from '../format.ts'
import { texts } from '../texts.ts'
import type { GapMap, Place } from './cells.ts'
import { placeText, placeTitle } from './words.ts'

const t = texts.gaps

export interface MapProps {
  map: GapMap
  label: string
  /** Opens a day; where left out, places are looked at only. */
  onOpen?: ((date: string) => void) | undefined
  onPoint(place: { name: string; place: Place } | undefined): void
}

interface At {
  row: number
  column: number
}

export const HeatMap = ({ map, label, onOpen, onPoint }: MapProps) => {
  const box = useRef<HTMLDivElement>(null)
  const last = { row: 0, column: map.columns.length - 1 }
  const [at, setAt] = useState<At>(last)
  const here = { row: Math.min(at.row, map.rows.length - 1), column: Math.min(at.column, map.columns.length - 1) }
  // What came last is what one looks for first.
  useEffect(() => {
    if (box.current) box.current.scrollLeft = box.current.scrollWidth
  }, [map.columns.length])

  const point = ({ row, column }: At) => {
    const place = map.rows[row]?.places[column]
    onPoint(place && { name: map.rows[row]?.name ?? '', place })
  }
  const move = (event: KeyboardEvent): void => {
    const steps: Record<string, At> = {
      ArrowLeft: { row: here.row, column: here.column - 1 },
      ArrowRight: { row: here.row, column: here.column + 1 },
      ArrowUp: { row: here.row - 1, column: here.column },
      ArrowDown: { row: here.row + 1, column: here.column },
      Home: { row: here.row, column: 0 },
      End: { row: here.row, column: map.columns.length - 1 },
    }
    const next = steps[event.key]
    if (!next) return
    event.preventDefault()
    const to = {
      row: Math.max(0, Math.min(map.rows.length - 1, next.row)),
      column: Math.max(0, Math.min(map.columns.length - 1, next.column)),
    }
    setAt(to)
    box.current?.querySelector<HTMLElement>(`[data-at="${to.row} ${to.column}"]`)?.focus()
  }
  return (
    <div class="gap-map" ref={box}>
      {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a table whose places are walked with the arrow keys is a grid */}
      <table role="grid" aria-label={label} onKeyDown={move} onMouseLeave={() => onPoint(undefined)}>
        <thead>
          <tr>
            <th scope="col">{t.sensor}</th>
            {map.columns.map((column, i) => (
              <th key={column.key} scope="col" class={isWeekStart(map, i) ? 'week' : undefined}>
                <span>{columnText(map, i)}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {map.rows.map((row, r) => (
            <tr key={row.sensor}>
              <th scope="row">{row.name}</th>
              {row.places.map((place, c) => (
                <td key={map.columns[c]?.key} class={isWeekStart(map, c) ? 'week' : undefined}>
                  {place && (
                    <button
                      type="button"
                      class={placeClass(place)}
                      data-at={`${r} ${c}`}
                      tabIndex={r === here.row && c === here.column ? 0 : -1}
                      aria-label={`${placeTitle(row.name, place)}: ${placeText(place)}`}
                      onClick={() => onOpen?.(place.cell.date)}
                      onFocus={() => {
                        setAt({ row: r, column: c })
                        point({ row: r, column: c })
                      }}
                      onMouseEnter={() => point({ row: r, column: c })}
                    >
                      {markOf(place)}
                    </button>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const isWeekStart = ({ columns }: GapMap, i: number): boolean =>
  i > 0 && columns[i]?.hour === null && weekdayOf(columns[i]?.date ?? '') === 0

/** Every hour of a day; of days, each Monday and the first. */
const columnText = (map: GapMap, i: number): string => {
  const column = map.columns[i]
  if (!column) return ''
  if (column.hour !== null) return hourText(column.hour)
  if (i === 0 || weekdayOf(column.date) === 0) return shortDateText(column.date)
  return map.columns.length <= 14 ? weekdayText(weekdayOf(column.date)) : ''
}

const markOf = ({ gaps }: Place): string => (gaps[0] ? t.causes[gaps[0].cause].mark : '')

/** Five steps of what came, and the cause of most of what did not. */
const placeClass = ({ cell, gaps }: Place): string => {
  const { state, had, expected } = cell
  const step = expected === 0 ? 0 : Math.min(4, Math.floor((4 * had) / expected))
  const counted = state !== 'closed' && state !== 'before' && state !== 'due'
  const way = gaps[0]?.proof.onItsWay ? ' on-its-way' : ''
  return `place ${state}${counted ? ` step-${step}` : ''}${gaps[0] ? ` cause-${gaps[0].cause}${way}` : ''}`
}
