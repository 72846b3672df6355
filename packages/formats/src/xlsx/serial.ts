/**
 * Dates of spreadsheets: days and their fraction since 1900 or 1904. The calendar of 1900 has a 29 February that never was
 * (day 60); it is no time.
 */

const dayMs = 86_400_000
/** Days from day 0 to 1970-01-01: from day 61 on; before day 60 (one day less); of the calendar of 1904. */
const from1900 = 25_569
const from1904 = 24_107

/** Local ms since 1970 of a day number, to the ms; NaN where it is no date. */
export const serialMs = (serial: number, is1904: boolean): number => {
  if (!(serial >= 0) || serial >= 2_958_466) return Number.NaN
  if (is1904) return Math.round(serial * dayMs) - from1904 * dayMs
  const day = Math.floor(serial)
  if (day === 60) return Number.NaN
  return Math.round(serial * dayMs) - (day < 60 ? from1900 - 1 : from1900) * dayMs
}

/** As ISO 8601 without offset: a date alone at midnight, a time of day below day 1; else both. Undefined where it is no date. */
export const serialText = (serial: number, is1904: boolean): string | undefined => {
  if (serial >= 0 && serial < 1)
    return new Date(Math.round(serial * dayMs))
      .toISOString()
      .slice(11, -1)
      .replace(/\.000$/, '')
  const ms = serialMs(serial, is1904)
  if (Number.isNaN(ms)) return undefined
  const iso = new Date(ms).toISOString()
  return ms % dayMs === 0 ? iso.slice(0, 10) : iso.slice(0, -1).replace(/\.000$/, '')
}
