// The laboratory of `npm start`: plays instruments that write files as real ones do, so that the gateway beside it has
// files to follow. Each keeps its last few files, so that the disk stays as it is however long it runs.
//   node .run/lab/main.mjs <folder of the instruments> <inbox>      ends when its standard input does
import { bench } from './bench.mjs'
import { backDoor } from './door.mjs'
import { openRun } from './files.mjs'
import { gauge } from './gauge.mjs'
import { spectrometer } from './spectrometer.mjs'
import { detector } from './ssd.mjs'

const [folder, inbox] = process.argv.slice(2)
const tickMs = 200
const runs = [gauge, detector, spectrometer, bench].map(instrument => openRun(instrument, folder))
const door = backDoor(inbox)
const tick = () => {
  const nowMs = Date.now()
  for (const run of runs) run.writeUntil(nowMs)
  door.writeUntil(nowMs)
}
tick()
setInterval(tick, tickMs)

// Ctrl-C reaches every program of the terminal: the one that started this one says when it is over.
process.on('SIGINT', () => {})
process.stdin.on('end', () => process.exit(0)).resume()
