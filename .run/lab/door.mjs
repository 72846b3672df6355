// The back door of the store in London, which nobody simulates: a file an hour into the inbox, as a shop's till exports
// it. Its sensor fails now and then, falls silent for an afternoon, and loses a count: what gaps and quarantine show.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { localTime } from './files.mjs'

const zone = 'Europe/London'
const hourMs = 3_600_000
/** As far back as the other doors go; every hour is told the same again, so that a later start changes nothing. */
const historyHours = 8 * 7 * 24
const failed = -1
const closed = -2

/** The same for the same text, in [0, 1). */
const chance = text => {
  let h = 2166136261
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 16777619)
  h = Math.imul(h ^ (h >>> 15), 2246822507)
  h = Math.imul(h ^ (h >>> 13), 3266489909)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}

const lineOf = ms => {
  const [date, time] = localTime(ms, zone).split(' ')
  const hour = Number(time.slice(0, 2))
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay()
  const isOpen = weekday !== 0 && hour >= (weekday === 6 ? 10 : 9) && hour < 20
  if (isOpen && hour >= 15 && chance(`silent ${date}`) < 0.08) return ''
  const key = `${date} ${hour}`
  const shape = 1 + Math.sin(((hour - 9) / 11) * Math.PI)
  const visitors = Math.round(180 * shape * (0.8 + 0.4 * chance(`count ${key}`)) * (weekday === 6 ? 1.5 : 1))
  const fault = chance(`fault ${key}`)
  const count = !isOpen ? closed : fault < 0.02 ? failed : fault < 0.03 ? 'NULL' : visitors
  return `${date},${hour},London,8,${count},visitors\n`
}

export const backDoor = inbox => {
  mkdirSync(inbox, { recursive: true })
  const thisHour = () => Math.floor(Date.now() / hourMs) * hourMs
  let nextMs = thisHour() - historyHours * hourMs
  return {
    /** Hours are told when they are over. */
    writeUntil(nowMs) {
      const endMs = Math.floor(nowMs / hourMs) * hourMs
      if (nextMs >= endMs) return
      let lines = ''
      for (; nextMs < endMs; nextMs += hourMs) lines += lineOf(nextMs)
      const path = join(inbox, `back-door-${localTime(endMs, zone).slice(0, 13).replace(' ', '-')}.csv`)
      writeFileSync(`${path}.part`, `date,hour,shop,sensor_id,count,units\n${lines}`)
      renameSync(`${path}.part`, path)
    },
  }
}
