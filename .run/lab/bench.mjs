// A gas-sensor bench under LabVIEW: a TDMS file that grows by a segment a row. Three bottles in turn; the four sensors
// answer to the gas and recover.
import { localTime, noise } from './files.mjs'

const zone = 'Europe/Madrid'
const everyMs = 2000
const channels = [
  ['Main Variables', 'Measurement [#]'],
  ['Main Variables', 'Time [s]'],
  ['Main Variables', 'R1 [ohm]'],
  ['Main Variables', 'R2 [ohm]'],
  ['Main Variables', 'R3 [ohm]'],
  ['Main Variables', 'R4 [ohm]'],
  ['Main Variables', '[Botella 2-CO2] [ppbv]'],
  ['GMU6', 'C2 Flow [ml/min]'],
  ['GMU6', 'Total flow [ml/min]'],
]

const cycleS = 480
const gasFromS = 120
const gasToS = 300
const isGas = s => s % cycleS >= gasFromS && s % cycleS < gasToS
/** How much of its full answer a sensor shows, 0 to 1. */
const answerAt = (s, riseS, fallS) => {
  const t = s % cycleS
  if (t < gasFromS) return 0
  const risen = 1 - Math.exp(-(Math.min(t, gasToS) - gasFromS) / riseS)
  return t < gasToS ? risen : risen * Math.exp(-(t - gasToS) / fallS)
}
const valuesAt = (ms, startMs, i) => {
  const s = ms / 1000
  const gas = isGas(s)
  const resistance = (ohm, part, riseS) => ohm * (1 - part * answerAt(s, riseS, 2 * riseS)) * (1 + 0.002 * noise())
  return [
    i,
    (ms - startMs) / 1000,
    resistance(2.7e6, 0.34, 22),
    resistance(5.6e6, 0.21, 40),
    resistance(2.8e6, 0.45, 15),
    resistance(1.5e6, 0.12, 60),
    gas ? 400_000 + 900 * noise() : 0,
    gas ? 8.3 + 0.02 * noise() : 0,
    100 + 0.1 * noise(),
  ]
}

// The format as NI describes it: a lead-in of 28 bytes, then metadata, then raw data. Little-endian.
const hasMetadata = 0x02
const newList = 0x04
const hasRawData = 0x08
const float64 = 10

const u32 = value => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = value => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const text = value => Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)])
const objectOf = ([group, channel]) => {
  const index = [u32(20), u32(float64), u32(1), u64(1)]
  return Buffer.concat([text(`/'${group}'/'${channel}'`), ...index, u32(0)])
}
const metadata = Buffer.concat([u32(channels.length), ...channels.map(objectOf)])

/** One value of each channel; only the first segment says which channels there are. */
const segment = (values, isFirst) => {
  const head = isFirst ? metadata : Buffer.alloc(0)
  const raw = Buffer.from(Float64Array.from(values).buffer)
  const flags = hasRawData | (isFirst ? hasMetadata | newList : 0)
  const leadIn = [Buffer.from('TDSm'), u32(flags), u32(4713), u64(head.length + raw.length), u64(head.length)]
  return Buffer.concat([...leadIn, head, raw])
}

export const bench = {
  folder: 'bench',
  historyMs: 45 * 60_000,
  rowsPerFile: 450,
  filesMax: 4,
  next: ms => ms + everyMs,
  /** `C2_CO2_50%HR nov.-20-26 Time 160703.tdms`: the only place where the start of the run stands. */
  nameOf(ms) {
    const local = localTime(ms, zone)
    const month = new Intl.DateTimeFormat('es-ES', { timeZone: zone, month: 'short' }).format(ms).slice(0, 3)
    return `C2_CO2_50%HR ${month}.-${local.slice(8, 10)}-${local.slice(2, 4)} Time ${local.slice(11).replaceAll(':', '')}.tdms`
  },
  open: startMs => ({ header: '', row: (ms, i) => segment(valuesAt(ms, startMs, i), i === 0) }),
}
