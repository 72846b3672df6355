// A run of files of one instrument: a new one every `rowsPerFile`, the oldest deleted.
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What an instrument is: `name` of its folder, `everyMs` between rows (or `nextMs(ms)`), `historyMs` that it has behind it
 * at the very first start, `name(startMs)` of a file, and `open(startMs)`, which gives the file's `header` and `row(ms, i)`.
 */
export const openRun = (instrument, parent) => {
  const folder = join(parent, instrument.folder)
  mkdirSync(folder, { recursive: true })
  const isFirst = readdirSync(folder).length === 0
  let nextMs = Date.now() - (isFirst ? instrument.historyMs : 0)
  nextMs = Math.ceil(nextMs / 1000) * 1000
  let file

  const begin = ms => {
    mkdirSync(folder, { recursive: true })
    prune(folder, instrument.filesMax - 1)
    const parts = instrument.open(ms)
    file = { fd: openSync(join(folder, instrument.nameOf(ms)), 'w'), rows: 0, row: parts.row }
    writeSync(file.fd, parts.header)
  }
  const end = () => {
    closeSync(file.fd)
    file = undefined
  }
  return {
    writeUntil(nowMs) {
      // Behind the clock by more than a minute: the machine slept, and so did the instrument.
      if (file && nowMs - nextMs > sleptMs) {
        end()
        nextMs = nowMs
      }
      for (; nextMs <= nowMs; nextMs = instrument.next(nextMs)) {
        if (!file) begin(nextMs)
        writeSync(file.fd, file.row(nextMs, file.rows))
        if (++file.rows === instrument.rowsPerFile) end()
      }
    },
  }
}
const sleptMs = 60_000

const prune = (folder, keep) => {
  const files = readdirSync(folder)
    .map(name => ({ path: join(folder, name), ms: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.ms - a.ms)
  for (const { path } of files.slice(keep)) rmSync(path, { force: true })
}

const clocks = new Map()
/** `2026-03-18 14:25:07` in a zone. */
export const localTime = (ms, timeZone) => {
  if (!clocks.has(timeZone)) {
    clocks.set(timeZone, new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }))
  }
  return clocks.get(timeZone).format(ms)
}

/** About normal, mean 0, deviation 1. */
export const noise = () => Math.random() + Math.random() + Math.random() + Math.random() - 2
