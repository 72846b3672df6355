// A spectrometer that looks at a lamp: a series of spectra as OceanView writes it, one a second. The LED breathes; at its
// height a few pixels are saturated.
import { localTime, noise } from './files.mjs'

const zone = 'Europe/Madrid'
const pixels = 512
const axis = Array.from({ length: pixels }, (_, i) => 194.638 + (i * (809.272 - 194.638)) / (pixels - 1))
const breathMs = 47_000

const line = (x, at, width, high) => high * Math.exp(-(((x - at) / width) ** 2))
const curveAt = ms => {
  const led = 47_000 + 24_000 * Math.sin((2 * Math.PI * ms) / breathMs)
  const gas = 5200 * (1 + Math.sin((2 * Math.PI * ms) / 610_000))
  return axis.map(x => {
    const light = line(x, 365, 7, led) + line(x, 546, 3, gas) + line(x, 577, 3, gas / 2) + line(x, 620, 90, 2600)
    return Math.min(65_535, Math.max(0, 1210 + light + 14 * noise())).toFixed(1)
  })
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
/** `Fri Nov 20 16:07:03 CET 2026` */
const cDate = ms => {
  const local = localTime(ms, zone)
  const [date, time] = local.split(' ')
  const [year, month, day] = date.split('-')
  const aheadHours = Math.round((Date.parse(`${date}T${time}Z`) - ms) / 3_600_000)
  const weekday = weekdays[new Date(`${date}T00:00:00Z`).getUTCDay()]
  return `${weekday} ${months[month - 1]} ${day} ${time} ${aheadHours === 2 ? 'CEST' : 'CET'} ${year}`
}

const nameOf = ms =>
  `led365_USB4000__${Math.floor(ms / 300_000) % 1000}__${localTime(ms, zone).slice(11).replaceAll(':', '-')}-000.txt`

export const spectrometer = {
  folder: 'spectrometer',
  historyMs: 5 * 60_000,
  rowsPerFile: 300,
  filesMax: 3,
  next: ms => ms + 1000,
  nameOf,
  open: startMs => ({
    header: `Data from ${nameOf(startMs)} Node

Date: ${cDate(startMs)}
User: lab
Spectrometer: USB4000
Trigger mode: 0
Integration Time (sec): 1,000000E-1
Scans to average: 10
Nonlinearity correction enabled: true
Boxcar width: 2
Storing dark spectrum: false
XAxis mode: Wavelengths
Number of Pixels in Spectrum: ${pixels}
>>>>>Begin Spectral Data<<<<<
\t\t${axis.map(x => x.toFixed(3).replace('.', ',')).join('\t')}
`,
    row: ms => `${localTime(ms, zone)}.${String(ms % 1000).padStart(3, '0')}000\t${curveAt(ms).join('\t')}\n`,
  }),
}
