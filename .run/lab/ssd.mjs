// A silicon detector: a list file of pulses, as a WE7000 writes them, with two lines of an alpha source over a background.
import { localTime, noise } from './files.mjs'

const zone = 'Asia/Tokyo'
const pulsesPerFile = 1500
const pulsesPerS = 3

/** Now and then one above the upper discriminator, which its status then says. */
const height = () => {
  const roll = Math.random()
  if (roll < 0.003) return 4032 + Math.floor(40 * Math.random())
  if (roll < 0.12) return 500 + Math.floor(3500 * Math.random() ** 2)
  return Math.round(roll < 0.62 ? 2480 + 42 * noise() : 2862 + 46 * noise())
}

const header = start => `Model,WE7562
BlockNumber,1
BlockSize,${String(pulsesPerFile).padEnd(20)}
TraceName,Time,PulseHeight
VUnit,cnt
HResolution,1.000000e+000
"HUnit",?
Date,${start.slice(0, 10)}
Time,${start.slice(11)}
//Comment,
//StartDate,${start.slice(0, 10)}
//StartTime,${start.slice(11)}
//Input,Input2
//OperationMode,LIST
//MeasureMode,Peak
//Gain,4096
//LLD,500
//ULD,4031
//TimeResolution,1.000000e-006
//TimeStamp,Peak
`

export const detector = {
  folder: 'ssd',
  historyMs: 20 * 60_000,
  rowsPerFile: pulsesPerFile,
  filesMax: 6,
  next: ms => ms + Math.max(0.002, (-Math.log(1 - Math.random()) * 1000) / pulsesPerS),
  nameOf: ms => `-${localTime(ms, zone).replace(/[-:]/g, '').replace(' ', '-')}-Slot1-In2.csv`,
  open(startMs) {
    const zeroMs = Math.floor(startMs / 1000) * 1000
    return {
      header: header(localTime(zeroMs, zone).replaceAll('-', '/')),
      row: (ms, i) => `${i},${Math.round((ms - zeroMs) * 1000)},${height()}\n`,
    }
  },
}
