/** A serial port as the source needs it, and the real one behind it. A test passes its own. */
import { stat } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import * as z from 'zod'

export const lineSettings = {
  baudRate: z.int().min(1).max(20_000_000).default(9600),
  dataBits: z.union([z.literal(5), z.literal(6), z.literal(7), z.literal(8)]).default(8),
  parity: z.enum(['none', 'even', 'odd']).default('none'),
  stopBits: z.union([z.literal(1), z.literal(1.5), z.literal(2)]).default(1),
  flowControl: z.enum(['none', 'rtscts', 'xonxoff']).default('none'),
}
export interface PortSettings {
  baudRate: number
  dataBits: 5 | 6 | 7 | 8
  parity: 'none' | 'even' | 'odd'
  stopBits: 1 | 1.5 | 2
  flowControl: 'none' | 'rtscts' | 'xonxoff'
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
// Its default export is what CommonJS exports, bundled or not; names are not always.
const loadSerialport = async () => (await import('serialport')).default

export const openSerialPort: OpenPort = async (path, settings) => {
  const { SerialPort } = await loadSerialport()
  const { flowControl, ...line } = settings
  const port = new SerialPort({
    path,
    ...line,
    rtscts: flowControl === 'rtscts',
    xon: flowControl === 'xonxoff',
    xoff: flowControl === 'xonxoff',
    autoOpen: false,
  })
  await new Promise<void>((resolve, reject) => {
    port.open(error => (error ? reject(error) : resolve()))
  })
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
