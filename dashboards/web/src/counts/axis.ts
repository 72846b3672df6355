/** Where an axis of days or hours has its ticks, and what they say. */
import { hourText, shortDateText, weekdayOf, weekdayText } from '../format.ts'

/** A place on the axis; between two days of hours one stays free. */
export type Place<T extends At> = T | undefined
export interface At {
  date: string
  hour: number | null
}

export const placesOf = <T extends At>(slots: readonly T[]): Place<T>[] =>
  slots.flatMap((slot, i): Place<T>[] =>
    slot.hour !== null && i > 0 && slots[i - 1]?.date !== slot.date ? [undefined, slot] : [slot],
  )

/** About one tick every 72 px: hours of the day, else days, else Mondays. */
export const splitsOf = (places: readonly Place<At>[], width: number): number[] => {
  const room = Math.max(2, Math.floor(width / 72))
  const days = places.flatMap((slot, i) => (slot && places[i - 1]?.date !== slot.date ? [i] : []))
  const hourly = places.some(slot => slot && slot.hour !== null)
  if (hourly && days.length * 4 <= room) {
    const every = days.length === 1 && places.length * 2 <= room * 3 ? 1 : days.length * 7 <= room ? 2 : 4
    return places.flatMap((slot, i) => (slot && (days.includes(i) || (slot.hour ?? 1) % every === 0) ? [i] : []))
  }
  const weeks = days.filter((i, d) => d > 0 && weekOf(places[i]) !== weekOf(places[days[d - 1] ?? 0]))
  const candidates = days.length > room && weeks.length >= 2 ? weeks : days
  const every = Math.ceil(candidates.length / room)
  return candidates.filter((_, i) => i % every === 0)
}
const weekOf = (slot: Place<At>): number => Math.floor((Date.parse(`${slot?.date}T00:00:00Z`) / 86_400_000 + 3) / 7)

export const tickText = (places: readonly Place<At>[], index: number): string => {
  const slot = places[index]
  if (!slot) return ''
  if (slot.hour !== null && places[index - 1]?.date === slot.date) return hourText(slot.hour)
  return `${shortDateText(slot.date)}\n${weekdayText(weekdayOf(slot.date))}`
}

/** The place that a key leads to from another one, passing over free ones; undefined where it is no key that walks. */
export const stepOf = (key: string, at: number | undefined, places: readonly Place<At>[]): number | undefined => {
  const last = places.length - 1
  const next = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last }[key]
  if (next === undefined) return undefined
  const landed = places[next] || !places[next + 1] ? next : next + Math.sign(next - (at ?? 0))
  return Math.max(0, Math.min(last, landed))
}
