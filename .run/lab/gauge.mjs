// A vacuum gauge with six inputs: a line a second, Pa. A valve that opens now and then makes a spike; the line to the PC
// is not the best, and a few lines come garbled, so that there is something in quarantine.
import { localTime, noise } from './files.mjs'

const zone = 'Asia/Tokyo'
const burstEveryS = 170

/** A pump-down that goes on for hours, with bursts that the pump takes away within seconds. */
const pressureAt = ms => {
  const s = ms / 1000
  const drift = 8.9e-7 * (1 + 0.25 * Math.sin((2 * Math.PI * s) / 5400))
  const height = 14e-7 * (0.4 + Math.abs(Math.sin(Math.floor(s / burstEveryS))))
  return drift + height * Math.exp(-(s % burstEveryS) / 4)
}

const rowOf = ms => {
  const p = pressureAt(ms)
  const idle = () => (Math.random() < 0.5 ? 1e-9 : 2e-7)
  const values = [p * (1 + 0.003 * noise()), p * (1.49 + 0.004 * noise()), p * (0.93 + 0.003 * noise())]
  return [...values, idle(), idle(), 0.05009].map(value => value.toFixed(9))
}

/** What stands in a line instead, by its number in the file: another PC's decimal comma, noise, a line cut short. */
const faults = new Map([
  [20, cells => cells.map((cell, i) => (i === 3 ? `"${cell.replace('.', ',')}"` : cell))],
  [48, cells => cells.map((cell, i) => (i === 1 ? `${cell.slice(0, 6)}#?${cell.slice(8)}` : cell))],
  [97, cells => cells.slice(0, 3)],
  [140, cells => cells.map((cell, i) => (i === 3 ? `"${cell.replace('.', ',')}"` : cell))],
])

export const gauge = {
  folder: 'gauge',
  historyMs: 45 * 60_000,
  rowsPerFile: 600,
  filesMax: 6,
  next: ms => ms + 1000,
  nameOf: ms => `gauge-${localTime(ms, zone).replace(/[-:]/g, '').replace(' ', '-')}.csv`,
  open: () => ({
    header: 'Timestamp,Rb disp.,Neut.,Surf. Ref.,NC,NC,NC\n',
    row(ms, i) {
      const cells = [localTime(ms, zone).replaceAll('-', '/'), ...rowOf(ms)]
      return `${(faults.get(i)?.(cells) ?? cells).join(',')}\n`
    },
  }),
}
