/** A serial port as the source needs it, and the real one behind it. A test passes its own. */
import { stat } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import type { SerialPort } from 'serialport'
import * as z from 'zod'

const text = z.string().min(1).max(4096)
export const portOption = z
  .union([
    text,
    z.strictObject({
      serialNumber: text.optional(),
      vendorId: text.optional(),
      productId: text.optional(),
      manufacturer: text.optional(),
    }),
  ])
  .describe(
    'Path, best a stable one such as /dev/serial/by-id/…, or what the adapter says of itself: {serialNumber: …}',
  )
export type PortChoice = z.output<typeof portOption>
/** How a port is called in messages and origins. */
export const portNameOf = (port: PortChoice): string =>
  typeof port === 'string' ? port : Object.values(port).join(' ')

export const lineSettings = {
  baudRate: z.int().min(1).max(20_000_000).default(9600),
  dataBits: z.union([z.literal(5), z.literal(6), z.literal(7), z.literal(8)]).default(8),
  parity: z.enum(['none', 'even', 'odd']).default('none'),
  stopBits: z.union([z.literal(1), z.literal(1.5), z.literal(2)]).default(1),
  flowControl: z.enum(['none', 'rtscts', 'xonxoff']).default('none'),
  dtr: z
    .boolean()
    .optional()
    .describe('Level of DTR after opening: some adapters draw power from it, some boards restart by it'),
  rts: z.boolean().optional().describe('Level of RTS after opening, where it is not used for flow control'),
}
export interface PortSettings {
  baudRate: number
  dataBits: 5 | 6 | 7 | 8
  parity: 'none' | 'even' | 'odd'
  stopBits: 1 | 1.5 | 2
  flowControl: 'none' | 'rtscts' | 'xonxoff'
  dtr?: boolean | undefined
  rts?: boolean | undefined
}

export interface OpenedPort {
  stream: Duplex
  /** Whether the device that was opened is still there. Asked while nothing comes, as no event may tell. */
  isThere(): Promise<boolean>
  close(): Promise<void>
}
/** Resolves when the port is open; rejects with an error whose message a person can read. */
export type OpenPort = (path: string, settings: PortSettings) => Promise<OpenedPort>

/** What the system says of a port. */
export interface PortInfo {
  path: string
  serialNumber?: string | undefined
  manufacturer?: string | undefined
  vendorId?: string | undefined
  productId?: string | undefined
}
export type ListPorts = () => Promise<PortInfo[]>

const closeMsMax = 2000

/** Loaded when the first port is opened: a gateway without serial lines needs no native code. */
// What CommonJS exports is the default export, bundled or in Node; under tsx there are its names alone.
const loadSerialport = async () => {
  const loaded = await import('serialport')
  return loaded.default ?? loaded
}

export const openSerialPort: OpenPort = async (path, settings) => {
  const { SerialPort } = await loadSerialport()
  const { baudRate, dataBits, parity, stopBits, flowControl, dtr, rts } = settings
  const port = new SerialPort({
    path,
    baudRate,
    dataBits,
    parity,
    stopBits,
    rtscts: flowControl === 'rtscts',
    xon: flowControl === 'xonxoff',
    xoff: flowControl === 'xonxoff',
    autoOpen: false,
  })
  await new Promise<void>((resolve, reject) => {
    port.open(error => (error ? reject(error) : resolve()))
  })
  if (dtr !== undefined || rts !== undefined) await setLines(port, dtr ?? true, rts ?? true)
  const before = await identityOf(path)
  return {
    stream: port,
    isThere: async () => port.isOpen && (await identityOf(path)) === before,
    async close() {
      // An error that comes after the end has nobody left to hear it, and would end the process.
      port.on('error', () => {})
      if (!port.isOpen) return
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, closeMsMax)
        port.close(() => {
          clearTimeout(timer)
          resolve()
        })
      })
      port.destroy()
    },
  }
}

/** Closes the port where its lines cannot be set: a port that is half set up is not open. */
const setLines = (port: SerialPort, dtr: boolean, rts: boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    port.set({ dtr, rts }, error => {
      if (!error) return resolve()
      const problem = new Error(`DTR and RTS cannot be set (${error.message}): leave out dtr and rts`)
      port.close(() => reject(problem))
    })
  })

export const listSerialPorts: ListPorts = async () => (await loadSerialport()).SerialPort.list()

/** Changes when a device is pulled out and put in again; the same where the system has no such file (Windows). */
const identityOf = async (path: string): Promise<string> => {
  if (!path.startsWith('/')) return path
  try {
    const { ino, rdev, dev } = await stat(path)
    return `${dev}:${ino}:${rdev}`
  } catch {
    return 'gone'
  }
}

/** The path of the one port that fits; rejects with a sentence where none or several do. */
export const pathOf = async (port: PortChoice, listPorts: ListPorts): Promise<string> => {
  if (typeof port === 'string') return port
  const ports = await listPorts()
  const found = ports.filter(info =>
    Object.entries(port).every(
      ([key, wanted]) => String(info[key as keyof typeof info] ?? '').toLowerCase() === String(wanted).toLowerCase(),
    ),
  )
  const [first] = found
  if (!first) throw new Error('No such port')
  if (found.length > 1) throw new Error(`${found.map(info => info.path).join(', ')} all fit: say more of the adapter`)
  return first.path
}

/** Why a port cannot be opened, in plain words. */
export const openProblem = (name: string, error: Error): string => {
  const { message } = error
  if (/No such|ENOENT|File not found|cannot find/i.test(message)) return `${name} is not there; waiting for it`
  if (/permission|EACCES|Access denied/i.test(message)) {
    return `${name} may not be opened: no permission (on Linux, add the user to the group of the device, often dialout)`
  }
  if (/lock|EBUSY|busy/i.test(message)) return `${name} is in use by another program`
  if (/udevadm/.test(message)) return `ports cannot be listed here (no udevadm): give the port by its path`
  return `${name} cannot be opened: ${message}; trying again`
}
